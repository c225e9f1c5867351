"""Lines of logs: filtered, counted, written."""

import csv
import io
import json

import pytest

from aftersend.errors import UsageError
from aftersend.rules.views import VIEWS
from aftersend.services.log_export.lines import LogFilter, ReasonCounts, csv_writer, json_writer
from tests.unit.rules.factories import START, event
from tests.unit.rules.views.factories import row_of

EFS = VIEWS["efs"]
SENDING, EXCLUSIONS, TRACKING = EFS.logs
BOUNCED = row_of("sent", event("hard_bounce", 1, reason="InvalidRecipient", diagnostic="=HYPERLINK(1)"))
DELIVERED = row_of("sent", "delivered")
TEST = row_of(event("sent", test=True))


def keep(*, statuses: tuple[str, ...] = (), reasons: tuple[str, ...] = (), tests: bool = False) -> LogFilter:
    return LogFilter(SENDING, statuses, reasons, EFS, tests=tests)


def test_statuses_match_in_any_case() -> None:
    assert keep(statuses=("fAILED",)).line("r@example.org", BOUNCED) is not None
    assert keep(statuses=("failed",)).line("r@example.org", DELIVERED) is None
    assert keep(statuses=("failed", "sent")).line("r@example.org", DELIVERED) is not None


@pytest.mark.parametrize("status", ["Error", "en échec", "FEHLGESCHLAGEN", "ошибка"])
def test_statuses_match_in_any_language(status: str) -> None:
    assert keep(statuses=(status,)).line("r@example.org", BOUNCED) is not None
    assert keep(statuses=(status,)).line("r@example.org", DELIVERED) is None


def test_responses_match_in_any_language() -> None:
    creatio = VIEWS["creatio"]
    chosen = LogFilter(creatio.logs[0], ("Отклонено", "hard BOUNCE"), (), creatio, tests=False)

    assert chosen.line("r@example.org", BOUNCED) is not None
    assert chosen.line("r@example.org", row_of("sent", "rejected")) is not None
    assert chosen.line("r@example.org", DELIVERED) is None


@pytest.mark.parametrize("reason", ["user unknown", "User Unknown", "1", "Usuario desconocido", "utilisateur inconnu"])
def test_reasons_match_by_name_or_value(reason: str) -> None:
    assert keep(reasons=(reason,)).line("r@example.org", BOUNCED) is not None
    assert keep(reasons=(reason,)).line("r@example.org", DELIVERED) is None


def test_test_messages_are_excluded_by_default() -> None:
    assert keep().line("r@example.org", TEST) is None
    line = keep(tests=True).line("r@example.org", TEST)
    assert line is not None
    assert 127 == line["reason_value"]


def test_an_unknown_status_or_reason_is_an_error() -> None:
    with pytest.raises(UsageError, match="no status"):
        LogFilter(TRACKING, ("Sent",), (), EFS, tests=False)
    with pytest.raises(UsageError, match="no reason"):
        LogFilter(TRACKING, (), ("1",), EFS, tests=False)
    with pytest.raises(UsageError, match="no status 'Gone': the view has Pending, Sent, Failed, Excluded"):
        keep(statuses=("Gone",))
    with pytest.raises(UsageError, match="no reason 'gone': there are 0 Not defined, 1 User unknown"):
        keep(reasons=("gone",))


def test_reasons_are_counted_the_most_frequent_first() -> None:
    reasons = ReasonCounts()
    for recipient, row in (("a@example.org", DELIVERED), ("b@example.org", BOUNCED), ("c@example.org", BOUNCED)):
        line = keep().line(recipient, row)
        assert line is not None
        reasons.add(line)

    assert [("User unknown", 2), ("", 1)] == [(line["reason"], line["recipients"]) for line in reasons.lines()]


def test_csv_is_safe_to_open_and_json_is_exact() -> None:
    """A spreadsheet must not evaluate the reply of a remote server as a formula."""
    line = keep().line("r@example.org", BOUNCED)
    assert line is not None
    as_csv, as_json = io.StringIO(), io.StringIO()
    csv_writer(tuple(line), as_csv)(line)
    json_writer(as_json)(line)

    (read,) = csv.DictReader(io.StringIO(as_csv.getvalue()))
    fields = json.loads(as_json.getvalue())
    assert ("'=HYPERLINK(1)", "=HYPERLINK(1)") == (read["diagnostic"], fields["diagnostic"])
    assert read["updated_at"] == fields["updated_at"]
    assert fields["updated_at"].startswith("2025-09-14T12:00:01")
    assert START + 1 == line["updated_at"]
