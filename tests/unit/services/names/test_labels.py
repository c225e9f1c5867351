from __future__ import annotations

from typing import Any

import pytest

from aftersend.locale.languages import LanguageCode
from aftersend.services.names.labels import labels_of, with_labels

ROW: dict[str, Any] = {
    "delivery_id": "opened",
    "status": "not_sent_previously_complained",
    "facts": ["sent", "hard_bounced"],
    "failure": {"reason": "InvalidRecipient", "diagnostic": "delivered"},
    "history": [{"kind": "unsubscribed_one_click", "decision": "terminal_locked"}],
}


def test_an_answer_gets_the_names_of_the_keys_in_it_and_of_no_others() -> None:
    assert {
        "status": {"not_sent_previously_complained": "no enviado: queja anterior"},
        "fact": {"sent": "enviado", "hard_bounced": "rebote duro"},
        "event": {"unsubscribed_one_click": "baja con un clic"},
        "decision": {"terminal_locked": "bloqueado por estado final"},
    } == labels_of(ROW, "es").names


def test_the_answer_itself_stays_as_it_is() -> None:
    labelled = with_labels(ROW, "ru")

    assert "ru" == labelled["labels"]["language"]
    assert ROW == {name: value for name, value in labelled.items() if name != "labels"}
    assert ROW == with_labels(ROW, None)


@pytest.mark.parametrize("language, name", [("de", "Zustellrate"), ("fr", "taux de remise"), ("en", "delivered rate")])
def test_the_keys_of_kpis_and_rates_have_labels(language: LanguageCode, name: str) -> None:
    names = labels_of(
        {
            "kpis": {"unique_opens": 3, "somebody_elses": 1},
            "rates": {"delivered_rate": {"value": 0.5, "numerator_name": "delivered", "denominator_name": "sent"}},
            "statuses": {"soft_bounce": 1},
            "decisions": {"late": 0},
        },
        language,
    ).names

    assert {"delivered_rate": name} == names["rate"]
    assert {"unique_opens", "delivered", "sent"} == names["kpi"].keys()
    assert {"soft_bounce"} == names["status"].keys()
    assert {"late"} == names["decision"].keys()


def test_statuses_in_views_have_the_names_of_the_view() -> None:
    step = {
        "views": {"efs": {"before": "Pending", "after": "Failed"}, "creatio": {"before": None, "after": "Rejected"}}
    }

    assert {
        "efs": {"Pending": "Pendiente", "Failed": "Error", "Sent": "Enviado"},
        "creatio": {"Rejected": "Rechazado"},
    } == labels_of({"steps": [step], "views": {"efs": "Sent"}}, "es").names


def test_a_notice_of_the_card_has_the_products_words() -> None:
    line = {"notice": "not sent", "label": "campaign", "reason": "earlier complaint"}

    assert {
        "escala_notice": {"not sent": "No enviado"},
        "escala_label": {"campaign": "Correo de campaña"},
        "escala_reason": {"earlier complaint": "Marcó como spam un envío anterior"},
    } == labels_of({"card": [line]}, "es").names
