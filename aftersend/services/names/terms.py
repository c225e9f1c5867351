"""Every key that has a name in the catalogues, by context, from the data of the rules.

The catalogues have an entry for each of them, and no other: tests compare the two.
"""

from __future__ import annotations

from typing import Final

from aftersend.rules.contact import quarantine, suppression
from aftersend.rules.kpi.indicators import RATES, ROW_KPIS
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.kinds import KINDS
from aftersend.rules.recipient.statuses import STATUSES
from aftersend.rules.views import VIEWS
from aftersend.rules.views.adobe import reasons
from aftersend.rules.views.base import View
from aftersend.rules.views.escala import card
from aftersend.schemas.event import MESSAGE_TYPES, NOT_SENT_REASONS

STATUS: Final = "status"
EVENT: Final = "event"
DECISION: Final = "decision"
FACT: Final = "fact"
KPI: Final = "kpi"
RATE: Final = "rate"
NOT_SENT_REASON: Final = "not sent reason"
SUPPRESSION_REASON: Final = "suppression reason"
ADDRESS_STATUS: Final = "address status"
MESSAGE_TYPE: Final = "message type"
HEADING: Final = "heading"
CONTACT: Final = "contact"
VIEW: Final = "view"
ADOBE_REASON: Final = "adobe reason"
ADOBE_REASON_TYPE: Final = "adobe reason type"
ESCALA_NOTICE: Final = "escala notice"
ESCALA_REASON: Final = "escala reason"
ESCALA_LABEL: Final = "escala label"

#: Headings of the tables of `aftersend kpi`.
HEADINGS: Final = ("Statuses", "Counts", "Rates", "Decisions")
#: What is said of a contact.
CONTACT_WORDS: Final = ("do not email", "may be mailed", "invalid address")
#: Headings of a product's numbers, as it calls the place where it shows them.
BLOCKS: Final = {"adobe": "Deployment", "creatio": "Results", "escala": "Totals"}
_PRODUCTS: Final = {"creatio": "creatio", "escala": "escala"}
_ADOBE: Final = "adobe"


def product_of(view: View) -> str:
    """Return the product of a view: the first word of the contexts of its names."""
    return _PRODUCTS.get(view.name, _ADOBE)


def status_context(view: View) -> str:
    """Return the context of a view's statuses; Creatio calls them responses."""
    product = product_of(view)
    return f"{product} response" if product == "creatio" else f"{product} status"


def _of_view(view: View) -> dict[str, dict[str, None]]:
    product = product_of(view)
    columns = (column.title for log in view.logs for column in log.columns)
    return {
        status_context(view): dict.fromkeys(view.statuses),
        f"{product} kpi": dict.fromkeys(count.title for count in view.counts),
        f"{product} rate": dict.fromkeys(rate.title for rate in view.rates),
        f"{product} log": dict.fromkeys(log.title for log in view.logs),
        f"{product} column": dict.fromkeys(columns),
        f"{product} block": {BLOCKS[product]: None},
    }


def terms() -> dict[str, tuple[str, ...]]:
    """Return every key by context, in display order."""
    found: dict[str, dict[str, None]] = {
        STATUS: dict.fromkeys(status.name for status in STATUSES),
        EVENT: dict.fromkeys(kind.name for kind in KINDS),
        DECISION: dict.fromkeys(DECISION_NAMES),
        FACT: dict.fromkeys(FACT_NAMES),
        KPI: dict.fromkeys(ROW_KPIS),
        RATE: dict.fromkeys(rate.name for rate in RATES),
        NOT_SENT_REASON: dict.fromkeys(NOT_SENT_REASONS),
        SUPPRESSION_REASON: dict.fromkeys(suppression.REASONS),
        ADDRESS_STATUS: dict.fromkeys(quarantine.ADDRESS_STATUSES),
        MESSAGE_TYPE: dict.fromkeys(filter(None, MESSAGE_TYPES)),
        HEADING: dict.fromkeys(HEADINGS),
        CONTACT: dict.fromkeys(CONTACT_WORDS),
        VIEW: dict.fromkeys(view.title for view in VIEWS.values()),
        ADOBE_REASON: dict.fromkeys(reason.name for reason in reasons.REASONS),
        ADOBE_REASON_TYPE: dict.fromkeys(reason.type for reason in reasons.REASONS if reason.type),
        ESCALA_NOTICE: dict.fromkeys(card.NOTICES),
        ESCALA_REASON: dict.fromkeys(card.FOUR_REASONS.get(reason, reason) for reason in NOT_SENT_REASONS),
        ESCALA_LABEL: dict.fromkeys(card.LABELS),
    }
    for view in VIEWS.values():
        for context, keys in _of_view(view).items():
            found.setdefault(context, {}).update(keys)
    return {context: tuple(keys) for context, keys in found.items()}


_KNOWN: Final = {context: frozenset(keys) for context, keys in terms().items()}


def is_known(context: str, key: str) -> bool:
    """Return whether a key has a name in a context; a word of a stranger has none."""
    return key in _KNOWN[context]
