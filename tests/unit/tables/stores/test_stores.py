"""What every store must do."""

import pytest

from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.stores.base import Changes, PartitionStore


def event(delivery_id: str, recipient: str) -> FoldEvent:
    return FoldEvent("", delivery_id, recipient, "sent")


def rows(store: PartitionStore, delivery_id: str, limit: int = 1000) -> dict[str, bytes]:
    """Return all rows of a delivery, read in pages."""
    found: dict[str, bytes] = {}
    after = None
    while True:
        page = store.scan(delivery_id, after, limit)
        found |= dict(page)
        if len(page) < limit:
            return found
        after = page[-1][0]


def test_a_new_store_has_nothing(store: PartitionStore) -> None:
    assert {} == store.offsets()
    assert store.rows_of("d")("a@x.example") is None
    assert store.contact("a@x.example") is None
    assert store.partial("d") is None
    assert [] == list(store.partials())
    assert [] == store.scan("d", None, 10)
    assert 0.0 == store.tick


def test_what_was_applied_can_be_read(store: PartitionStore) -> None:
    partial = KpiPartial({256: 1}, {7: 2}, 1.0, 2.0, 3)
    store.apply(
        Changes({"d": {"a": b"row a", "b": b"row b"}, "e": {"a": b"other"}}, {"a": b"contact"}, {"d": partial}, 60.0),
        {"status": 3, "kpis": 1},
    )

    assert b"row a" == store.rows_of("d")("a")
    assert b"row b" == store.rows_of("d")("b")
    assert b"other" == store.rows_of("e")("a")
    assert store.rows_of("e")("b") is None
    assert b"contact" == store.contact("a")
    assert store.contact("b") is None
    assert partial == store.partial("d")
    assert [("d", partial)] == list(store.partials())
    assert ["d"] == list(store.deliveries())
    assert (b"row a", None) == (store.peek("d", "a"), store.peek("e", "b"))
    assert {"status": 3, "kpis": 1} == store.offsets()
    assert 60.0 == store.tick


def test_announcing_a_batch_changes_nothing_but_the_cost(store: PartitionStore) -> None:
    store.apply(Changes({"d": {"a": b"1", "b": b"2"}}, {"b": b"contact"}), {})
    store.prefetch([event("d", "a"), event("d", "c"), event("", ""), event("e", "a"), event("d", "a")])

    assert b"1" == store.rows_of("d")("a")
    assert store.rows_of("d")("c") is None
    assert store.rows_of("e")("a") is None
    assert b"2" == store.rows_of("d")("b"), "not announced, and there all the same"
    assert b"contact" == store.contact("b")
    assert store.contact("a") is None


def test_a_batch_may_be_announced_in_parts(store: PartitionStore) -> None:
    """The look-up that was asked for during the first part knows the rows of the second."""
    store.apply(Changes({"d": {"a": b"1", "b": b"2"}}), {})
    store.prefetch([event("d", "a")])
    look_up = store.rows_of("d")
    store.prefetch([event("d", "b"), event("d", "a")])

    assert (b"1", b"2") == (look_up("a"), look_up("b"))


def test_announcing_nothing_is_no_error(store: PartitionStore) -> None:
    store.prefetch([])


def test_what_was_announced_before_is_not_shown_instead_of_what_came_since(store: PartitionStore) -> None:
    store.prefetch([event("d", "a")])
    assert store.rows_of("d")("a") is None
    assert store.contact("a") is None

    store.apply(Changes({"d": {"a": b"1"}}, {"a": b"contact"}), {})

    assert b"1" == store.rows_of("d")("a")
    assert b"contact" == store.contact("a")


def test_none_takes_a_row_and_a_contact_away(store: PartitionStore) -> None:
    store.apply(Changes({"d": {"a": b"1", "b": b"2"}}, {"a": b"contact", "b": b"other"}), {})
    store.apply(Changes({"d": {"a": None, "never there": None}}, {"a": None, "never there": None}), {})

    assert store.rows_of("d")("a") is None
    assert store.contact("a") is None
    assert {"b": b"2"} == rows(store, "d")
    assert b"other" == store.contact("b")


def test_a_delivery_can_lose_all_its_rows_and_get_new_ones(store: PartitionStore) -> None:
    store.apply(Changes({"d": {"a": b"1"}}), {})
    store.apply(Changes({"d": {"a": None}}), {})
    assert [] == store.scan("d", None, 10)

    store.apply(Changes({"d": {"a": b"2"}}), {})
    assert {"a": b"2"} == rows(store, "d")


def test_the_last_value_counts(store: PartitionStore) -> None:
    for version in range(3):
        changes = Changes({"d": {"a": b"%d" % version}}, {"a": b"%d" % version}, {"d": KpiPartial(version=version)})
        store.apply(changes, {"status": version})

    assert b"2" == store.rows_of("d")("a")
    assert b"2" == store.contact("a")
    assert KpiPartial(version=2) == store.partial("d")
    assert {"status": 2} == store.offsets()


def test_offsets_of_topics_that_are_not_named_stay(store: PartitionStore) -> None:
    store.apply(Changes(), {"status": 3, "kpis": 5})
    store.apply(Changes(), {"status": 4})

    assert {"status": 4, "kpis": 5} == store.offsets()


def test_ticks_never_go_back(store: PartitionStore) -> None:
    store.apply(Changes(tick=60.0), {})
    store.apply(Changes(tick=50.0), {})
    store.apply(Changes(), {})

    assert 60.0 == store.tick


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_a_scan_comes_by_every_row_of_its_delivery_once(store: PartitionStore, limit: int) -> None:
    expected = {f"user{i}@x.example": b"%d" % i for i in range(7)}
    store.apply(Changes({"d": dict(expected), "c": {"a": b"before"}, "e": {"a": b"after"}, "": {"": b"none"}}), {})

    assert expected == rows(store, "d", limit)
    assert {"": b"none"} == rows(store, "", limit)


def test_a_scan_goes_on_where_it_is_told_to(store: PartitionStore) -> None:
    """Not where the last scan happened to end."""
    store.apply(Changes({"d": dict.fromkeys("abcd", b"")}), {})
    every = [name for name, _ in store.scan("d", None, 10)]
    store.scan("d", None, 3)

    assert every[1:3] == [name for name, _ in store.scan("d", every[0], 2)]


def test_a_scan_that_goes_on_after_a_change_misses_nothing(store: PartitionStore) -> None:
    """A short page means the end, so a row that went away in between must not shorten one."""
    store.apply(Changes({"d": {f"{i:02}": b"" for i in range(20)}}), {})
    first = [name for name, _ in store.scan("d", None, 5)]
    left = {f"{i:02}" for i in range(20)} - set(first)
    gone = min(left)
    store.apply(Changes({"d": {gone: None}}), {})
    seen: list[str] = []
    after = first[-1]
    while page := store.scan("d", after, 5):
        seen += [name for name, _ in page]
        after = page[-1][0]
        if len(page) < 5:
            break

    assert left - {gone} == set(seen)


AWKWARD = ["", "a", "a\tb", "b", "a\0", "\0", "d" * 300, "größe", "\U0001f4e7", "a\x7f", "\uffff"]


def test_names_may_hold_anything(store: PartitionStore) -> None:
    """Delivery ids come from outside: none may be taken for the beginning of another."""
    expected = {d: {r: f"{d!r}/{r!r}".encode() for r in AWKWARD} for d in AWKWARD}
    partials = {d: KpiPartial(version=i) for i, d in enumerate(AWKWARD)}
    store.apply(Changes({d: dict(of) for d, of in expected.items()}, {r: r.encode() for r in AWKWARD}, partials), {})

    assert expected == {d: rows(store, d, 3) for d in AWKWARD}
    assert expected == {d: {r: store.rows_of(d)(r) for r in AWKWARD} for d in AWKWARD}
    assert partials == dict(store.partials())
    assert {r: r.encode() for r in AWKWARD} == {r: store.contact(r) for r in AWKWARD}


def test_all_kpis_can_be_read_however_many(store: PartitionStore) -> None:
    expected = {f"d{i}": KpiPartial({256: i}, {}, float(i), 0.0, i) for i in range(1500)}
    store.apply(Changes(partials=dict(expected)), {})

    assert expected == dict(store.partials())
    assert expected == {name: store.partial(name) for name in expected}


def test_reading_all_kpis_may_be_broken_off(store: PartitionStore) -> None:
    """And does not get into the way of writing."""
    store.apply(Changes(partials={f"d{i}": KpiPartial() for i in range(500)}), {})
    some = store.partials()
    next(some)
    store.apply(Changes({"d": {"a": b"1"}}), {})

    assert b"1" == store.rows_of("d")("a")


def test_rows_are_counted(store: PartitionStore) -> None:
    store.apply(Changes({"d": {f"{i}": b"row" for i in range(1000)}}), {})

    assert 1000 == pytest.approx(store.count(), abs=20)


def test_closing_twice_is_no_error(store: PartitionStore) -> None:
    store.close()
    store.close()
