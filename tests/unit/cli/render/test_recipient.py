"""The text of `aftersend recipient`."""

from __future__ import annotations

import io
from typing import Any

import pytest

from aftersend.cli.render.output import PrintableConsole, local
from aftersend.cli.render.recipient import address_details
from aftersend.rules.contact.fold import update
from aftersend.rules.recipient.kinds import kind_of
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from aftersend.services.recipients import StoredAddress, card_of
from aftersend.tables.codec.public import decode_state
from tests.unit.rules.factories import DAY, START, event
from tests.unit.rules.views.factories import row_of
from tests.unit.tables.factories import CODEC

WHO = "r@example.org"


def shown(*events: FoldEvent) -> str:
    """Return what the command prints of an address after some events."""
    row = row_of(*events)
    contact: Contact | None = None
    for one in events:
        contact = update(contact, one, kind_of(one), one.received_at, row.facts) or contact
    found = StoredAddress(rows={"d": (decode_state(CODEC.state("d", WHO, row)), row)}, contact=contact)
    out = io.StringIO()
    details = address_details(WHO, found, card_of(found), CODEC, START + DAY)
    PrintableConsole(file=out, width=300, color_system=None).print(details)
    return out.getvalue()


def test_since_is_the_time_of_the_status_and_not_of_the_last_event() -> None:
    assert f"delivered since {local(START + 5)}, was sent, last event {local(START + 60)}" in shown(
        event("sent"), event("delivered", 5), event("autoresponded", 60)
    )


def test_a_diagnostic_text_is_not_printed_twice() -> None:
    failure: dict[str, Any] = {"code": 550, "enhanced_code": "5.1.1", "diagnostic": "550 5.1.1 no such user"}

    assert ": 550 5.1.1 no such user\n" in shown(event("hard_bounce", **failure)).replace(" \n", "\n")


def test_a_failure_before_a_success_is_called_an_earlier_one() -> None:
    failure = event("deferred", 1, reason="QuotaIssues")

    assert "  failure  QuotaIssues" in shown(event("sent"), failure)
    assert "  earlier failure QuotaIssues" in shown(event("sent"), failure, event("delivered", 2))


@pytest.mark.parametrize("reason", [name for name in NOT_SENT_REASONS if name != "duplicate_address"])
def test_nobody_who_was_not_sent_to_may_be_mailed(reason: str) -> None:
    text = shown(event("not_sent", 1, reason=reason))

    assert "not sent" in text
    assert "may be mailed" not in text


def test_a_quarantined_address_may_not_be_mailed() -> None:
    text = shown(*(event("soft_bounce", number * 1.1 * DAY) for number in range(6)))

    assert "do not email (quarantined" in text
    assert "may be mailed" not in text


def test_an_address_with_one_soft_bounce_may_be_mailed() -> None:
    assert "contact: may be mailed" in shown(event("soft_bounce", 1))
