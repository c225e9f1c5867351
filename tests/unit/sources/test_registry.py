"""The list of sources."""

import pytest

from aftersend.sources.base import Source, SourceOptions
from aftersend.sources.registry import NAMES, NUMBERS, REGISTRY, _register


def source(name: str, number: int) -> Source:
    return Source(name=name, number=number, title="", parser=REGISTRY["kumomta"].parser)


def test_numbers_never_change() -> None:
    """They are stored in the rows' histories."""
    assert {
        "events": 0,
        "kumomta": 1,
        "sendgrid": 2,
        "ses": 3,
        "tracking": 4,
        "operations": 5,
        "sender": 6,
        "postmark": 7,
        "clock": 63,
    } == NUMBERS
    assert NUMBERS == {name: number for number, name in NAMES.items()}


@pytest.mark.parametrize("name", REGISTRY)
def test_every_source_has_a_parser_and_its_own_name(name: str) -> None:
    assert name == REGISTRY[name].name
    assert callable(REGISTRY[name].parser(SourceOptions()))


@pytest.mark.parametrize(
    "sources",
    [
        (source("a", 5), source("b", 5)),
        (source("a", 5), source("a", 6)),
        (source("a", 0),),
        (source("a", 63),),
        (source("a", 64),),
        (source("clock", 5),),
    ],
    ids=lambda sources: "+".join(f"{s.name}={s.number}" for s in sources),
)
def test_a_name_or_number_is_given_once(sources: tuple[Source, ...]) -> None:
    with pytest.raises(ValueError, match="number"):
        _register(sources)
