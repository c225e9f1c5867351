"""Every parser is linear: sixteen times the input takes some sixteen times the steps, whatever the input is."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from aftersend.config.installation import parsers
from aftersend.config.loading import load
from aftersend.sources.base import Parser, SourceError
from aftersend.sources.bounds import enforce_bounds
from aftersend.sources.registry import REGISTRY
from tests.fuzz.mutation import places_of
from tests.fuzz.seeds import seeds_of

#: Text of about so many characters.
TEXTS: Final[dict[str, Callable[[int], str]]] = {
    "combining marks": lambda size: "a@" + "\u0301" * size,
    "combining marks out of order": lambda size: "a@" + "\u0301\u0316" * (size // 2),
    "quotes": lambda size: '"' * size,
    "escaped quotes": lambda size: '"' + '\\"' * (size // 2) + "@b",
    "comments": lambda size: "(" * size,
    "closed comments": lambda size: "()" * (size // 2) + "a@b.example",
    "angle brackets": lambda size: "<" * size,
    "at signs": lambda size: "@" * size,
    "labels": lambda size: "a@" + "b." * (size // 2),
    "punycode": lambda size: "a@" + "xn--ü." * (size // 6),
    "long label": lambda size: "a@" + "ü" * size,
    "addresses": lambda size: "a@b.example," * (size // 12),
    "spaces": lambda size: "a" + " " * size + "@b",
    "folded lines": lambda size: "550 " + "\r\n " * (size // 3),
    "digits": lambda size: "5" * size,
    "enhanced codes": lambda size: "5.1" * (size // 3),
    "percent signs": lambda size: "http://a.example/?" + "%" * size,
    "parameters": lambda size: "http://a.example/?" + "a=b&" * (size // 4),
    "slashes": lambda size: "/" * size,
    "pairs": lambda size: "a=b;" * (size // 4),
    "time": lambda size: "2026-01-01T00:00:00." + "0" * size,
    "user agent": lambda size: "Mozilla/5.0 (" * (size // 13),
}
SMALL: Final = 4_000
GROWTH: Final = 16
#: Linear work grows by `GROWTH`, quadratic work by its square.
MOST: Final = GROWTH * GROWTH / 4
#: CPU seconds below which no growth is looked at: fixed costs and noise.
_NOTHING: Final = 0.02
PARSERS: Final = parsers(load())


def seconds(parse: Parser, raw: bytes) -> float:
    """Return the CPU time that parsing a record takes."""
    began = time.process_time()
    try:
        for event in parse(raw):
            enforce_bounds(event)
    except SourceError:
        pass  # it has been read to the end, which is what is measured
    return time.process_time() - began


def growth(parse: Parser, record: Callable[[int], bytes]) -> float:
    """Return how many times as long the larger record takes; 1 if both take nearly nothing."""
    large = record(SMALL * GROWTH)
    if seconds(parse, large) < _NOTHING:
        return 1.0
    small = record(SMALL)
    return min(seconds(parse, large) for _ in range(3)) / max(1e-4, min(seconds(parse, small) for _ in range(9)))


def texts_everywhere(raw: bytes) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield functions that return a record with a text of a size in one place, for each place and text."""
    try:
        document = json.loads(raw)
    except ValueError:
        return  # lines of JSON, each of which is there too, or a fixture that is no JSON on purpose
    for number, (owner, key) in enumerate(places_of(document)):
        if isinstance(owner[key], dict):
            continue
        for name, text in TEXTS.items():

            def make(size: int, number: int = number, text: Callable[[int], str] = text) -> bytes:
                changed = copy.deepcopy(document)
                place, at = list(places_of(changed))[number]
                place[at] = text(size)
                return json.dumps(changed).encode()

            yield f"{key}: {name}", make


@pytest.mark.slow
@pytest.mark.parametrize("source", REGISTRY)
def test_a_field_of_any_text_is_read_in_linear_time(source: str) -> None:
    grown = {
        f"{source} record {number}: {place}": factor
        for number, raw in enumerate(seeds_of(source))
        for place, record in texts_everywhere(raw)
        if (factor := growth(PARSERS[source], record)) > MOST
    }
    assert {} == grown


@pytest.mark.parametrize("source", REGISTRY)
@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b"[[],", b'"', b"\n", b"{}\n", b"{} ", b"\\u0301", b"a@b.example\n", b"\xcc\x81"]
)
def test_bytes_of_any_kind_are_read_in_linear_time(source: str, unit: bytes) -> None:
    assert growth(PARSERS[source], lambda size: unit * size) <= MOST


def test_quadratic_work_is_noticed() -> None:
    def quadratic(raw: bytes) -> list[Any]:
        return [] if sum(raw.count(b"x", at) for at in range(0, len(raw), 4)) >= 0 else [None]

    assert growth(quadratic, lambda size: b"x" * size) > MOST
