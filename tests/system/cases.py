"""The records of the cases of docs/domain.md §9, and how their results are read."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport as Viewed
from aftersend.schemas.contact import Contact
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.recipient import RecipientState
from aftersend.services.kpis.views import DeliveryHistograms
from tests.system.chaos.installation import Installation

MINUTE: Final = 60.0


HOUR: Final = 3600.0


DAY: Final = 24 * HOUR


#: Arrival of the first records: long enough ago for a freeze, and not yet forgotten by Kafka or Redis.
START: Final = float(int(time.time() - 40 * DAY))


ADOBE: Final = ("without-efs", "efs", "v8", "enhanced-mta")


TAKEN: Final = "Taken into account by the service provider"


_READER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0"


_PROXY: Final = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


@dataclass(frozen=True)
class Raw:
    """A raw record of a source."""

    source: str
    value: Any
    #: Arrival, seconds after `START`.
    at: float
    #: All of one person's records of a source lie in one partition, in order.
    person: str


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(START + at, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def mta(kind: str, delivery: str, person: str, at: float, answer: tuple[int, str] = (250, ""), **more: Any) -> Raw:
    """Return a record of KumoMTA's log; `answer`: reply code and enhanced code."""
    code, enhanced = answer
    parts = dict(zip(("class", "subject", "detail"), map(int, enhanced.split(".")), strict=True)) if enhanced else None
    record = {
        "type": kind,
        "id": uuid.uuid5(uuid.NAMESPACE_URL, f"{delivery}/{person}").hex,
        "sender": "bounces@mail.brand.example",
        "recipient": person,
        "queue": "example.org",
        "response": {"code": code, "enhanced_code": parts, "content": f"{code} {enhanced} said so", "command": None},
        "timestamp": int(START + at),
        "event_time": moment(at),
        "num_attempts": 0,
        "bounce_classification": "Uncategorized",
        "meta": {"delivery_id": delivery, "message_type": "campaign"},
        "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
        "reception_protocol": "HTTP",
    }
    return Raw("kumomta", record | more, at, person.lower())


def tracker(event: str, delivery: str, person: str, at: float, **more: Any) -> Raw:
    """Return a record of the sender's own tracker."""
    record = {"event": event, "delivery_id": delivery, "recipient": person, "time": START + at, "user_agent": _READER}
    return Raw("tracking", record | more, at, person.lower())


def sendgrid(event: str, delivery: str, person: str, at: float, ident: str = "", **more: Any) -> Raw:
    """Return the body of a SendGrid webhook with one event."""
    one = {
        "email": person,
        "timestamp": int(START + at),
        "event": event,
        "sg_event_id": ident or f"{event}-{delivery}-{person}-{at}",
        "sg_message_id": f"message-{delivery}.filter",
        "delivery_id": delivery,
    }
    return Raw("sendgrid", [one | more], at, person.lower())


def sender(kind: str, delivery: str, at: float, **more: Any) -> Raw:
    """Return what the sender's own system says."""
    return Raw("sender", {"type": kind, "delivery_id": delivery} | more, at, more.get("recipient", ""))


def handed_over(delivery: str, person: str = "jane@example.org", at: float = 0.0) -> Raw:
    return mta("Reception", delivery, person, at)


def delivered(delivery: str, person: str = "jane@example.org", at: float = MINUTE) -> Raw:
    return mta("Delivery", delivery, person, at, (250, "2.0.0"))


JANE: Final = "jane@example.org"


UNKNOWN_USER: Final[dict[str, Any]] = {"answer": (550, "5.1.1"), "bounce_classification": "InvalidRecipient"}


NO_DOMAIN: Final[dict[str, Any]] = {"answer": (550, "5.1.2"), "bounce_classification": "BadDomain"}


FULL: Final[dict[str, Any]] = {"bounce_classification": "QuotaIssues"}


SPARKPOST_CLASSES: Final = ("AutoReply", "Subscribe", "Unsubscribe", "ChallengeResponse")


HARD: Final[dict[str, Any]] = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 user unknown"}


#: Each stage: its records, and the ticks that end it, hours after `START`.
STAGES: Final[tuple[tuple[list[Raw], float | None], ...]] = (
    (
        [
            *(sendgrid(event, "case-1", JANE, n) for n, event in enumerate(("processed", "delivered"))),
            *(handed_over(f"case-{number}") for number in (5, 6, 7, 10, 14, 15, 16, 18, 19)),
            *(delivered(f"case-{number}") for number in (7, 15, 16, 18, 19)),
            handed_over("case-17-48h"),
            handed_over("gave-up"),
            sender("delivery", "case-29", 0, validity_days=1),
            sender("planned", "case-29", 0, recipient=JANE),
            sender("delivery", "case-17-84h", 0, validity_days=3.5),
            handed_over("case-17-84h"),
            *(delivered("case-13", f"{label.lower()}@example.org") for label in SPARKPOST_CLASSES),
            *(sendgrid("processed", f"case-8-{order}", JANE, 0) for order in ("bounce", "complaint")),
        ],
        None,
    ),
    (
        [
            sendgrid("open", "case-1", JANE, HOUR),
            sendgrid("click", "case-1", JANE, HOUR + 1, url="https://brand.example/offer"),
            sendgrid("spamreport", "case-1", JANE, HOUR + 2),
            tracker("click", "case-2", JANE, HOUR, url="https://brand.example/offer"),
            tracker("click", "case-3", JANE, HOUR, url="https://brand.example/unsubscribe?u=1"),
            sendgrid("spamreport", "case-4", JANE, HOUR),
            mta("TransientFailure", "case-5", JANE, HOUR, (452, "4.2.2"), **FULL),
            mta("TransientFailure", "case-6", JANE, HOUR, (452, "4.2.2"), **FULL),
            mta("Expiration", "gave-up", JANE, HOUR, (551, "5.4.7"), **FULL),
            sendgrid("bounce", "case-8-bounce", JANE, HOUR, **HARD),
            sendgrid("spamreport", "case-8-complaint", JANE, HOUR),
            *(sendgrid("open", "case-9", JANE, MINUTE + i * 29 * HOUR / 45, "again") for i in range(46)),
            # Refused, logged without the message's id, and the log read twice.
            *[mta("Bounce", "case-10", JANE, HOUR, id="", **UNKNOWN_USER)] * 2,
            mta("OOB", "case-10", "", HOUR, **UNKNOWN_USER),
            mta("OOB", "", JANE, HOUR, **UNKNOWN_USER),
            delivered("case-11", at=HOUR),
            tracker("open", "case-11", JANE, HOUR, id="17"),
            *[tracker("open", "case-12", JANE, HOUR, ip="198.51.100.7")] * 2,
            tracker("open", "case-12", JANE, 2 * HOUR, ip="198.51.100.7"),
            *(
                mta("OOB", "case-13", f"{label.lower()}@example.org", HOUR, (550, ""), bounce_classification=label)
                for label in SPARKPOST_CLASSES
            ),
            mta("Bounce", "case-14", JANE, HOUR, (599, "")),
            sendgrid("an event of next year", "case-14", "joe@example.org", HOUR),
            tracker("open", "case-15", "JANE@Example.ORG", HOUR),
            sender("not_sent", "case-16", HOUR, recipient=JANE, reason="duplicate_address"),
            tracker("open", "case-19", JANE, HOUR, user_agent=_PROXY),
            *(
                mta("Bounce", f"case-20-{n}", person, n * HOUR, **(NO_DOMAIN if (person, n) == other else UNKNOWN_USER))
                for other in [("four@example.org", 4)]
                for person in ("five@example.org", "four@example.org")
                for n in range(5)
            ),
            *(
                mta("Expiration", f"case-21-{person[0]}-{n}", person, n * apart, (551, "5.4.7"))
                for person, apart in (("once@example.org", 23 * HOUR), ("twice@example.org", 24 * HOUR))
                for n in range(2)
            ),
        ],
        48 - 1 / 3600,
    ),
    (
        [
            mta("Delivery", "case-5", JANE, 47 * HOUR, (250, "2.0.0"), num_attempts=1),
            sendgrid("delivered", "case-4", JANE, 47 * HOUR),
            sendgrid("spamreport", "case-8-bounce", JANE, 47 * HOUR),
            sendgrid("bounce", "case-8-complaint", JANE, 47 * HOUR, **HARD),
            delivered("case-11", "joe@example.org", 25 * HOUR),
            mta("Delivery", "case-11", "ann@example.org", 25 * HOUR, id=delivered("case-11").value["id"]),
            tracker("open", "case-11", "joe@example.org", 25 * HOUR, id="17"),
            tracker("open", "case-19", JANE, 47 * HOUR),
        ],
        48,
    ),
    ([mta("OOB", "case-7", JANE, 6 * DAY, **UNKNOWN_USER)], 84),
    (
        [
            sendgrid("bounce", "case-18", JANE, 31 * DAY, **HARD),
            sendgrid("spamreport", "case-18", JANE, 31 * DAY),
            tracker("open", "case-18", JANE, 31 * DAY),
        ],
        31 * 24,
    ),
)


@dataclass
class Seen:
    """All that the engine shows after a stage."""

    rows: dict[tuple[str, str], RecipientState] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    #: delivery -> decision -> events.
    decisions: dict[str, Counter[str]] = field(default_factory=dict)
    reports: dict[str, dict[str, Viewed]] = field(default_factory=dict)


async def look(installation: Installation) -> Seen:
    """Read the status, contacts and KPI topics."""
    topics, seen = installation.topics, Seen()
    kpis: dict[bytes, DeliveryKpis] = {}
    histograms: dict[str, DeliveryHistograms] = {}

    def apply(topic: str, partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key, value = (record.key or b"").decode(), record.value or b""
            if topic == topics.status:
                delivery_id, _, recipient = key.partition("\t")
                seen.rows[delivery_id, recipient] = msgspec.json.decode(value, type=RecipientState)
            elif topic == topics.contacts:
                seen.contacts[key] = msgspec.json.decode(value, type=Contact)
            elif "\t" in key:
                delivery_id = key.rpartition("\t")[0]
                kpis[record.key or b""] = msgspec.json.decode(value, type=DeliveryKpis)
                histograms.setdefault(delivery_id, DeliveryHistograms(delivery_id)).apply(topic, partition, [record])

    places = [(topic, p) for topic in (topics.status, topics.contacts, topics.kpis) for p in range(4)]
    await changelog.read(installation.settings.kafka_options(), dict.fromkeys(places), apply)
    for one in kpis.values():
        counted = seen.decisions.setdefault(one.delivery_id, Counter())
        for by_kind in one.events.values():
            for by_decision in by_kind.values():
                counted.update(by_decision)
    for delivery_id, of in histograms.items():
        seen.reports[delivery_id] = {report.view: report for report in of.reports(VIEWS.values())}
    return seen
