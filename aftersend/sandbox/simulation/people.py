"""Who is written to: addresses at made-up mailbox providers, some of them in more than one spelling."""

from __future__ import annotations

import random
from typing import Final

from aftersend.sources.simulation.message import Mailbox, Person

PROVIDERS: Final = (
    Mailbox("bigmail.example", 42, "bigmail", "203.0.113.26"),
    Mailbox("webpost.example", 20, "webpost", "203.0.113.41"),
    Mailbox("freemail.example", 16, "freemail", "203.0.113.58"),
    Mailbox("briefkasten.example", 11, "briefkasten", "203.0.113.77"),
    Mailbox("office.example", 9, "office", "203.0.113.90"),
    Mailbox("bücherfreunde.example", 2, "bücherfreunde", "203.0.113.102"),
)
_WEIGHTS: Final = [provider.weight for provider in PROVIDERS]

_GIVEN: Final = ("anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ida", "jan", "klara", "leo", "mia")
_FAMILY: Final = ("adler", "berg", "cohen", "diaz", "ek", "fischer", "garcia", "haas", "ito", "jones", "kim", "lang")


def person(number: int, seed: int) -> Person:
    """Return a recipient: the same for the same number and seed, whatever happened before."""
    rng = random.Random(f"{seed} {number}")
    provider = rng.choices(PROVIDERS, _WEIGHTS)[0]
    local = f"{rng.choice(_GIVEN)}.{rng.choice(_FAMILY)}{number}"
    address = tracked = f"{local}@{provider.domain}"
    spelling = rng.random()
    if not provider.domain.isascii():  # the log has the domain as it was typed, the tracker as DNS has it
        tracked = f"{local}@{provider.domain.encode('idna').decode()}"
    elif spelling < 0.02:
        tracked = f"{local.title()}@{provider.domain.upper()}"
    elif spelling < 0.03:
        address = local.upper() + address[len(local) :]
    return Person(address, tracked, provider)
