import io
from typing import get_args

import pytest
from rich.cells import cell_len

from aftersend.cli.commands.kpi import ViewName
from aftersend.cli.render.kpi import views_side_by_side
from aftersend.cli.render.output import PrintableConsole
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.locale.languages import LANGUAGES, LanguageCode
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import KIND_NUMBER
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket, pack_event_counter
from aftersend.services.kpis.views import DeliveryHistograms, as_json
from aftersend.tables.codec.keys import CLOCK_KEY, HEADER
from aftersend.tables.codec.public import encode_clock
from aftersend.tables.codec.stored import encode_row

DELIVERED = pack_bucket(6, Fact.SENT | Fact.DELIVERED | Fact.CONFIRMED)
OPENED = pack_bucket(8, Fact.SENT | Fact.DELIVERED | Fact.OPENED)
DEFERRED = pack_bucket(4, Fact.SENT | Fact.DEFERRED)
OPENS = pack_event_counter(1, KIND_NUMBER["opened"], 0)


class Record:
    offset = 0
    timestamp = 0

    def __init__(self, key: bytes, value: bytes | None, partial: KpiPartial | None = None) -> None:
        self.headers: list[tuple[str, bytes | None]] = []
        if partial is not None:
            self.headers.append((HEADER, encode_row(partial)))
        self.key: bytes | None = key
        self.value = value


def record(partition: int, cells: dict[int, int], events: dict[int, int], delivery: str = "d") -> FetchedRecord:
    return Record(f"{delivery}\t{partition}".encode(), b"{}", KpiPartial(cells, events))


def reports_in(*names: str) -> list[ViewReport]:
    """Return views of a delivery in two partitions, one of which has a later record."""
    histograms = DeliveryHistograms("d")
    histograms.apply("kpis", 0, [record(0, {DEFERRED: 1}, {}), record(0, {DELIVERED: 2}, {OPENS: 1})])
    histograms.apply("kpis", 1, [record(1, {DELIVERED: 1, DEFERRED: 3, OPENED: 2}, {OPENS: 4}), record(1, {}, {}, "e")])
    histograms.apply("kpis", 1, [Record(CLOCK_KEY, encode_clock(1, 5.0))])
    return histograms.reports(VIEWS[name] for name in names)


def test_partitions_are_added_up_and_the_latest_of_each_counts() -> None:
    efs, creatio = reports_in("efs", "creatio")

    assert {"Sent": 5, "Failed": 3} == {name: n for name, n in efs.statuses.items() if n}
    assert {"Delivered": 3, "Opened": 2, "Soft bounce": 3} == {name: n for name, n in creatio.statuses.items() if n}
    assert 5 == efs.totals["total_opens"]


def test_a_delivery_that_is_not_there_has_no_views() -> None:
    histograms = DeliveryHistograms("nobody-knows")
    histograms.apply("kpis", 0, [record(0, {DELIVERED: 2}, {}), Record(b"nobody-knows\t0", None)])

    assert [] == histograms.reports(VIEWS.values())


def test_a_delivery_whose_id_has_a_tab_is_found() -> None:
    histograms = DeliveryHistograms("a\tb")
    histograms.apply("kpis", 0, [record(0, {DELIVERED: 2}, {}, "a\tb"), record(0, {DELIVERED: 9}, {}, "a")])

    assert 2 == histograms.reports([VIEWS["efs"]])[0].counts["audience"]


def test_scripts_get_each_rate_with_numerator_and_denominator() -> None:
    views = as_json("d", reports_in("efs", "without-efs"))["views"]

    assert ["efs", "without-efs"] == list(views)
    assert {
        "value": 5 / 8,
        "numerator": 5,
        "numerator_name": "delivered",
        "denominator": 8,
        "denominator_name": "sent",
    } == views["efs"]["rates"]["delivered_share"]
    assert 1.0 == views["without-efs"]["rates"]["delivered_share"]["value"]
    assert "Adobe Campaign Standard without Email Feedback Service" == views["without-efs"]["title"]


def shown(*names: str, language: LanguageCode = "en") -> list[str]:
    screen = PrintableConsole(file=io.StringIO(), width=200)
    screen.print(views_side_by_side("d", reports_in(*names), language))
    lines: list[str] = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return lines


def test_views_are_shown_side_by_side() -> None:
    # A count comes before the rate of the same title.
    lines = {line.split("  ")[0]: line.split() for line in reversed(shown("efs", "without-efs", "escala"))}

    assert ["Failed", "3", "0"] == lines["Failed"]
    assert ["Delivered", "5", "8", "5"] == lines["Delivered"]
    assert "% delivered 62.50% = 5 / 8 100.00% = 8 / 8" == " ".join(lines["% delivered"])
    assert ["Interacted", "0"] == lines["Interacted"], "only Escala has it"


@pytest.mark.parametrize(
    "language, block, to_send, share",
    [
        ("en", "Deployment", "Messages to send", "% bounces + errors"),
        ("es", "Deployment", "Mensajes que enviar", "% bounces + errors (devoluciones y errores)"),
        ("de", "Freigabe", "Zu sendende Nachrichten", "% Bounces und Fehler"),
        ("fr", "Déploiement", "Messages à envoyer", "% bounces + erreurs"),
        ("ru", "Развертывание", "Сообщения к отправке", "% возвраты и ошибки"),
    ],
)
def test_a_view_has_the_products_own_titles_in_each_language(
    language: LanguageCode, block: str, to_send: str, share: str
) -> None:
    lines = {line.split("  ")[0].strip(): line for line in shown("efs", language=language)}

    assert {block, to_send, share} <= lines.keys()


def test_numbers_stay_aligned_whatever_the_language() -> None:
    for language in LANGUAGES:
        _, statuses, *_ = "\n".join(line.rstrip() for line in shown("creatio", language=language)).split("\n\n")

        assert 1 == len({cell_len(line) for line in statuses.splitlines()[1:]}), language


def test_scripts_get_labels_beside_the_same_keys() -> None:
    reports = reports_in("creatio")
    plain, labelled = as_json("d", reports), as_json("d", reports, "ru")
    labels = labelled["views"]["creatio"].pop("labels")

    assert plain == labelled
    assert "Отправлено провайдеру" == labels["statuses"]["Sent to provider"]
    assert "Аудитория" == labels["counts"]["audience"]
    assert labelled["views"]["creatio"]["rates"].keys() == labels["rates"].keys()


def test_the_command_offers_every_view() -> None:
    assert (*VIEWS, "declared") == get_args(ViewName)
