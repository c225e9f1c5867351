"""Rates between two snapshots."""

from typing import get_args

from aftersend.cli.commands.top import SortName
from aftersend.publish.kpis import Kpis, from_counters
from aftersend.services.kafka.lag import PartitionLag
from aftersend.services.monitor.rates import SORTS, compute_rates
from aftersend.services.monitor.snapshot import Snapshot

NOW = 1_790_000_000.0
TOPICS = ("raw", "events")


def delivery(name: str, updated_at: float = NOW, **counters: int) -> tuple[str, Kpis]:
    return name, from_counters(name, counters, NOW - 100, updated_at)


def snapshot(
    ticks: float, *deliveries: tuple[str, Kpis], positions: tuple[PartitionLag, ...] = (), **more: bool
) -> Snapshot:
    return Snapshot(NOW, ticks, dict(deliveries), list(positions), **more)  # type: ignore[arg-type]


def at(committed: int | None, end: int, partition: int = 0, **more: float) -> PartitionLag:
    return PartitionLag("raw", partition, committed, 0, end, **more)  # type: ignore[arg-type]


def test_one_snapshot_has_no_rates() -> None:
    found = compute_rates(snapshot(10, delivery("d", applied=5), positions=(at(5, 9),)), None, TOPICS)

    assert {"applied": 5} == {name: n for name, n in found.decisions.items() if n}
    assert None is found.events_per_second
    assert [None] == [topic.per_second for topic in found.topics]
    assert [None] == [one.per_second for one in found.deliveries]


def test_rates_are_over_the_time_between_two_snapshots() -> None:
    before = snapshot(10, delivery("d", applied=5, late=1), positions=(at(100, 200), at(None, 50, 1)))
    after = snapshot(14, delivery("d", applied=25, late=3), positions=(at(300, 300), at(40, 50, 1)))

    found = compute_rates(after, before, TOPICS)

    assert (5.0, 0.5, 0.0) == tuple(found.decisions_per_second[name] for name in ("applied", "late", "test"))
    assert 5.5 == found.events_per_second
    assert [5.5] == [one.per_second for one in found.deliveries]
    assert [(200 + 40) / 4] == [topic.per_second for topic in found.topics]


def test_a_delivery_that_is_new_has_had_all_its_events_since() -> None:
    found = compute_rates(snapshot(2, delivery("d", applied=8)), snapshot(0), TOPICS)

    assert 4.0 == found.events_per_second


def test_a_redis_that_lost_everything_has_no_negative_rate() -> None:
    found = compute_rates(snapshot(2, delivery("d", applied=1)), snapshot(0, delivery("d", applied=100)), TOPICS)

    assert 0.0 == found.events_per_second


def test_after_a_snapshot_without_redis_there_is_no_rate() -> None:
    """Otherwise all events ever counted would appear as the rate of one interval."""
    found = compute_rates(snapshot(2, delivery("d", applied=100)), snapshot(0, has_deliveries=False), TOPICS)

    assert None is found.events_per_second
    assert [None] == [one.per_second for one in found.deliveries]


def test_lag_is_the_sum_of_records_and_the_longest_wait() -> None:
    positions = (at(5, 9, waiting=4, oldest=NOW - 3), at(5, 9, 1, waiting=2, oldest=NOW - 8), at(9, 9, 2))

    (flow,) = compute_rates(snapshot(1, positions=positions), None, TOPICS).topics

    assert ("raw", 3, 6, 8.0, 0) == (flow.topic, flow.partitions, flow.waiting, flow.lag_seconds, flow.lost)


def test_deleted_unread_records_are_a_problem() -> None:
    (flow,) = compute_rates(snapshot(1, positions=(PartitionLag("raw", 0, 5, 12, 20),)), None, TOPICS).topics

    assert 7 == flow.lost


def test_deliveries_are_sorted() -> None:
    before = snapshot(0, delivery("a", NOW - 2, applied=1), delivery("b", NOW - 3, applied=1), delivery("c", NOW - 1))
    after = snapshot(
        1,
        delivery("a", NOW - 2, applied=1, unique_opens=3),
        delivery("b", NOW - 3, applied=9, delivered=4),
        delivery("c", NOW - 1, complained=2),
    )

    orders = {
        sort: "".join(one.kpis.delivery_id for one in compute_rates(after, before, TOPICS, sort).deliveries)
        for sort in SORTS
    }

    assert {"activity": "bca", "updated": "cab", "delivered": "bca", "opens": "acb", "complaints": "cab"} == {
        name: order for name, order in orders.items() if name not in {"audience", "bounces", "name"}
    }
    assert "abc" == orders["name"]


def test_the_command_offers_every_sort_order() -> None:
    assert SORTS == get_args(SortName)


def test_scripts_get_every_number() -> None:
    before = snapshot(0, delivery("d", applied=2), positions=(at(0, 9),))
    after = snapshot(2, delivery("d", applied=4, delivered=3, sent=4), positions=(at(8, 9, waiting=1, oldest=NOW - 2),))

    result = compute_rates(after, before, TOPICS).as_json(10)

    assert 1.0 == result["events_per_second"]
    assert [
        {
            "topic": "raw",
            "partitions": 1,
            "records_per_second": 4.0,
            "lag_records": 1,
            "lag_seconds": 2.0,
            "lost_offsets": 0,
        }
    ] == result["topics"]
    (one,) = result["deliveries"]
    assert (1.0, 3) == (one["events_per_second"], one["kpis"]["delivered"])
    assert (3, 4) == (one["rates"]["delivered_rate"]["numerator"], one["rates"]["delivered_rate"]["denominator"])
