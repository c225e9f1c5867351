from typing import Any

import pytest
from aiokafka.errors import InvalidTransactionTimeout, KafkaError, UnsupportedVersionError

from aftersend.engine import admin
from aftersend.engine.admin import Cluster, TopicFound
from aftersend.errors import EXIT_KAFKA, KafkaUnusableError
from aftersend.schemas.topics import TopicLayout, Topics, layouts

TOPICS = Topics("t")
WANTED = layouts(TOPICS, ("kumomta",), 4)
OPTIONS = {"bootstrap_servers": ["127.0.0.1:1"]}


def cluster(**changed: int | None) -> Cluster:
    """Return a cluster as it should be, but for some topics (None: missing)."""
    partitions = {layout.name: layout.partitions for layout in WANTED}
    for name, number in changed.items():
        topic = f"t.{name.replace('__', '.').replace('_', '-')}"
        assert topic in partitions
        if number is None:
            del partitions[topic]
        else:
            partitions[topic] = number
    return Cluster("id", partitions)


def test_a_cluster_as_it_should_be() -> None:
    assert [] == admin.problems(cluster(), TOPICS, WANTED)


def test_raw_topics_may_have_any_number_of_partitions() -> None:
    assert [] == admin.problems(cluster(raw__kumomta=17), TOPICS, WANTED)


@pytest.mark.parametrize("name", ["raw__kumomta", "raw__clock", "events", "status", "contacts", "kpis", "dead_letters"])
def test_a_missing_topic(name: str) -> None:
    (problem,) = admin.problems(cluster(**{name: None}), TOPICS, WANTED)

    assert problem.endswith("is missing: run `aftersend topics apply` first")


@pytest.mark.parametrize("name", ["status", "contacts", "kpis"])
def test_a_changelog_with_another_number_of_partitions(name: str) -> None:
    (problem,) = admin.problems(cluster(**{name: 8}), TOPICS, WANTED)

    assert f"t.{name} has 8 partitions and t.events has 4" in problem


def test_too_few_dead_letter_partitions() -> None:
    (problem,) = admin.problems(cluster(dead_letters=3), TOPICS, WANTED)

    assert "needs the 4" in problem


def test_more_than_one_clock_partition() -> None:
    """Each would have a leader of its own."""
    (problem,) = admin.problems(cluster(raw__clock=2), TOPICS, WANTED)

    assert "needs 1" in problem


def test_what_differs() -> None:
    layout = TopicLayout("t", 1, {"a": "1", "b": "2", "c": "3"}, "")
    found = TopicFound("t", 1, 1, {"a": "1", "b": "9", "other": "x"})

    assert {"b": ("9", "2"), "c": (None, "3")} == admin.differing(layout, found)


class Producer:
    """A producer whose broker answers with an error, or not at all."""

    error: Exception | None = None

    def __init__(self, **_: Any) -> None:
        self.stopped = False

    async def start(self) -> None:
        if self.error is not None:
            raise self.error

    async def stop(self) -> None:
        self.stopped = True


async def require(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    monkeypatch.setattr(admin, "AIOKafkaProducer", type("P", (Producer,), {"error": error}))
    await admin.require_transactions(OPTIONS, "app", 60.0)


async def test_a_cluster_with_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    await require(monkeypatch, None)


@pytest.mark.parametrize("error", [UnsupportedVersionError("too old"), KafkaError("no"), TimeoutError(), OSError("x")])
async def test_a_cluster_without_transactions(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaUnusableError, match="gives no transactional producer id") as caught:
        await require(monkeypatch, error)

    assert EXIT_KAFKA == caught.value.exit_code


async def test_transactions_shorter_than_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaUnusableError, match="AFTERSEND_TRANSACTION_TIMEOUT"):
        await require(monkeypatch, InvalidTransactionTimeout())


async def test_no_broker() -> None:
    with pytest.raises(KafkaUnusableError, match=r"no Kafka broker at 127\.0\.0\.1:1 \(AFTERSEND_KAFKA_BOOTSTRAP\)"):
        await admin.inspect(OPTIONS)
