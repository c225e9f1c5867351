"""Names and layouts of the topics."""

import pytest

from aftersend.schemas.topics import Topics, layouts

SOURCES = ("kumomta", "tracking")


def test_names_begin_with_the_prefix() -> None:
    topics = Topics("acme")

    assert ("acme.events", "acme.status", "acme.contacts", "acme.kpis", "acme.dead-letters", "acme.raw.clock") == (
        topics.events,
        topics.status,
        topics.contacts,
        topics.kpis,
        topics.dead_letters,
        topics.clock,
    )
    assert "acme.raw.kumomta" == topics.raw("kumomta")


def test_topics_of_others_keep_their_names() -> None:
    topics = Topics(events="all-events", raw={"kumomta": "mta.log", "clock": "ticks"})

    assert ("all-events", "mta.log", "ticks") == (topics.events, topics.raw("kumomta"), topics.clock)
    assert "feedback.raw.tracking" == topics.raw("tracking")
    assert "feedback.status" == topics.status


def test_every_topic_has_a_layout() -> None:
    topics = Topics()
    wanted = {topics.raw(name) for name in (*SOURCES, "clock")} | {
        *(
            topics.events,
            topics.status,
            topics.contacts,
            topics.kpis,
            topics.deliveries,
            topics.alerts,
            topics.dead_letters,
            topics.control,
            topics.positions,
        )
    }

    assert wanted == {layout.name for layout in layouts(topics, SOURCES, 8)}
    assert all(layout.purpose for layout in layouts(topics, SOURCES, 8))


def test_tables_have_as_many_partitions_as_the_events() -> None:
    """A partition's events, rows, contacts and KPIs have the same number; ticks, alerts and commands have one."""
    partitions = {layout.name: layout.partitions for layout in layouts(Topics(), SOURCES, 8)}

    assert {1} == {partitions.pop(f"feedback.{name}") for name in ("raw.clock", "alerts", "control", "positions")}
    assert {8} == set(partitions.values())


@pytest.mark.parametrize("table", ["status", "contacts", "kpis", "deliveries", "alerts"])
def test_tables_are_compacted_and_nothing_else(table: str) -> None:
    """A changelog that is cut off after some time would lose rows."""
    config = {layout.name: layout.config for layout in layouts(Topics(), SOURCES, 8)}[f"feedback.{table}"]

    assert "compact" == config["cleanup.policy"]
    assert "retention.ms" not in config


def test_tombstones_outlive_local_state() -> None:
    """Local state that is younger than `store_max_age_hours` (below 24) finds every tombstone that it has missed."""
    config = {layout.name: layout.config for layout in layouts(Topics(), SOURCES, 8)}["feedback.status"]

    assert 24 * 3600 * 1000 <= int(config["delete.retention.ms"])


def test_what_is_raw_is_kept_as_long_as_is_asked_for() -> None:
    for layout in layouts(Topics(), SOURCES, 8, raw_retention_days=2.5):
        if layout.config["cleanup.policy"] == "delete":
            assert str(int(2.5 * 24 * 3600 * 1000)) == layout.config["retention.ms"]


def test_time_is_what_the_writer_says() -> None:
    """The timestamp of an event's record is that of its raw record: the broker must not set its own."""
    assert {"CreateTime"} == {layout.config["message.timestamp.type"] for layout in layouts(Topics(), SOURCES, 8)}
