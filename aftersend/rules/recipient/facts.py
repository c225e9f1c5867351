"""Facts: what has happened to a row. Facts accumulate, and KPIs are counted from them (`docs/domain.md §2.3`).

A fact's bit is stored in rows and changelogs: it is assigned once and never reused. To add a fact is to add a bit to
`Fact`.
"""

from __future__ import annotations

from typing import Final


class Fact:
    """Bits of `Row.facts`."""

    PLANNED: Final = 1 << 0
    READY: Final = 1 << 1
    SENT: Final = 1 << 2
    DEFERRED: Final = 1 << 3
    SOFT_BOUNCED: Final = 1 << 4
    #: Reached the mailbox: reported, or implied by an open, a click, …
    DELIVERED: Final = 1 << 5
    #: An explicit `delivered` arrived.
    CONFIRMED: Final = 1 << 6
    HARD_BOUNCED: Final = 1 << 7
    REJECTED: Final = 1 << 8
    INVALID_ADDRESS: Final = 1 << 9
    FAILED: Final = 1 << 10
    OPENED_MACHINE: Final = 1 << 11
    OPENED: Final = 1 << 12
    CLICKED: Final = 1 << 13
    CLICKED_MACHINE: Final = 1 << 14
    UNSUBSCRIBE_LINK: Final = 1 << 15
    UNSUBSCRIBED: Final = 1 << 16
    ONE_CLICK: Final = 1 << 17
    COMPLAINED: Final = 1 << 18
    AUTORESPONDED: Final = 1 << 19
    NOT_SENT: Final = 1 << 20
    UNKNOWN: Final = 1 << 21
    #: No outcome within the source's response window.
    EXPIRED: Final = 1 << 22
    BOUNCED_AFTER_DELIVERY: Final = 1 << 23
    TEST: Final = 1 << 24
    RESUBSCRIBED: Final = 1 << 25
    #: The audience contained the address more than once; the extra copies were left out.
    DUPLICATE_ADDRESS: Final = 1 << 26
    #: The response window ended on a soft bounce; a success may still follow.
    GIVEN_UP: Final = 1 << 27
    #: The MTA itself has given up: its time for the message is over.
    RETRIES_EXHAUSTED: Final = 1 << 28
    #: Planned, and not sent before the delivery's validity was over.
    VALIDITY_OVER: Final = 1 << 29


#: Facts that say or imply that the message was handed to the provider or MTA (`docs/domain.md §4.3`): only what was
#: handed over can be deferred, delivered, refused, bounced or answered, or wait for an outcome in vain. This is what
#: *sent* means everywhere.
HANDED_OVER: Final = (
    Fact.SENT
    | Fact.DEFERRED
    | Fact.SOFT_BOUNCED
    | Fact.DELIVERED
    | Fact.HARD_BOUNCED
    | Fact.REJECTED
    | Fact.INVALID_ADDRESS
    | Fact.FAILED
    | Fact.UNKNOWN
    | Fact.EXPIRED
    | Fact.AUTORESPONDED
)

#: Names of the facts, lowest bit first.
FACT_NAMES: Final = tuple(
    name.lower()
    for name, _ in sorted(((k, v) for k, v in vars(Fact).items() if isinstance(v, int)), key=lambda pair: pair[1])
)


def names_of_facts(facts: int) -> list[str]:
    """Return the names of the facts whose bits are set, lowest bit first."""
    return [name for bit, name in enumerate(FACT_NAMES) if facts >> bit & 1]


def facts_of_names(names: list[str]) -> int:
    """Return the bits of named facts.

    Raises:
        ValueError: if a name is none of `FACT_NAMES`.
    """
    return sum(1 << FACT_NAMES.index(name) for name in names)
