"""Event ids for sources that give none."""

from hypothesis import given
from hypothesis import strategies as st

from aftersend.sources.parsing.event_ids import event_id


def test_ids_never_change() -> None:
    """A replay with other ids would count everything twice: BLAKE2b-128, as RFC 7693 has it."""
    assert "cae66941d9efbd404e4d88758ea67670" == event_id("")
    assert "06e4b09638a85118a1fce31a89812c16" == event_id("node|id|user@example.com|Delivery|1757675281440526|0")


@given(st.text(), st.text())
def test_other_fields_have_other_ids(one: str, other: str) -> None:
    assert (one == other) == (event_id(one) == event_id(other))
    assert 32 == len(event_id(one))
