"""`aftersend recipient` on real servers: the contact's card over several deliveries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from aftersend.errors import EXIT_OK
from aftersend.schemas.times import iso
from tests.system.chaos.installation import Installation
from tests.system.events import write_events

NOW = float(int(time.time())) - 3600.0
WHO = "jane@example.org"


async def test_the_contact_record_is_shown(install: Callable[..., Installation]) -> None:
    """A notice for each message, the newest first, of a campaign or an automation; what went well is not on it."""
    installation = install()
    await installation.start()
    for second, (kind, delivery, fields) in enumerate(
        [
            ("delivered", "went-well", {}),
            ("hard_bounce", "bounced", {"reason": "InvalidRecipient", "message_type": "automation"}),
            ("delivered", "spam", {"message_type": "campaign"}),
            ("not_sent", "unsent", {"reason": "unsubscribed_from_type"}),
            ("opened", "spam", {}),
            ("complained", "spam", {}),
            ("not_sent", "later", {"reason": "previously_complained"}),
        ]
    ):
        await write_events(installation, NOW + second, kind, delivery, [WHO], occurred_at=NOW + second, **fields)

    code, text = await installation.command("recipient", WHO.upper(), "--json")
    assert EXIT_OK == code, text
    lines = json.loads(text)["card"]
    assert [
        ("later", "campaign", "not sent", "earlier complaint", iso(NOW + 6)),
        ("spam", "campaign", "delivered", "", iso(NOW + 2)),
        ("spam", "campaign", "marked as spam", "", iso(NOW + 5)),
        ("unsent", "campaign", "not sent", "earlier unsubscribe", iso(NOW + 3)),
        ("bounced", "automation", "bounced", "InvalidRecipient", iso(NOW + 1)),
    ] == [tuple(line[name] for name in ("delivery_id", "label", "notice", "reason", "at")) for line in lines]

    code, text = await installation.command("recipient", WHO, "--delivery", "spam", "--json")
    assert ["delivered", "marked as spam"] == [line["notice"] for line in json.loads(text)["card"]]
    for language, notices in {
        "en": ("An earlier message was marked as spam", "Marked as spam", "Could not be sent", "Unsubscribed"),
        "es": ("Marcó como spam un envío anterior", "Marcado como spam", "No enviado", "Canceló la suscripción"),
    }.items():
        code, text = await installation.command("recipient", WHO, "--language", language)
        assert EXIT_OK == code, text
        places = [text.rindex(notice) for notice in notices]
        assert sorted(places) == places

    await installation.finish()
