import pytest

from aftersend.engine.breaker import Breaker, BreakerState, OpenBreaker, Tally, TopicBreakers
from aftersend.errors import SourcePausedError

TOPIC = "feedback.raw.x"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> TopicBreakers:
    return TopicBreakers(0.5, 100, 60.0, clock)


def test_a_breaker_opens_above_its_share_of_a_full_window() -> None:
    breaker = Breaker(0.5, 100, 60.0)
    assert not breaker.count(Tally(99, 99), 0.0), "the window is not full yet"
    assert breaker.count(Tally(1, 0), 0.0)
    assert not breaker.admits(59.9)
    assert breaker.admits(60.0)


@pytest.mark.parametrize("unreadable,state", [(5, BreakerState.CLOSED), (6, BreakerState.OPEN)])
def test_one_batch_decides_after_the_pause(unreadable: int, state: BreakerState) -> None:
    breaker = Breaker(0.5, 100, 60.0)
    breaker.count(Tally(100, 100), 0.0)
    assert breaker.admits(60.0)
    breaker.count(Tally(10, unreadable), 60.0)
    assert state is breaker.state


def test_only_the_last_records_count() -> None:
    breaker = Breaker(0.5, 100, 60.0)
    breaker.count(Tally(99, 99), 0.0)
    assert not breaker.count(Tally(1_000, 0), 0.0)
    assert not breaker.count(Tally(50, 50), 0.0)


def test_a_tenants_junk_closes_the_way_of_that_tenant_alone(breakers: TopicBreakers, clock: Clock) -> None:
    breakers.count(TOPIC, {"a": Tally(1_100, 1_100), "b": Tally(20, 0), "": Tally(20, 0)})
    assert {"a"} == breakers.paused_tenants(TOPIC)
    breakers.check(TOPIC)
    assert [OpenBreaker(TOPIC, "a", 160.0)] == list(breakers.open_breakers())
    clock.now = 160.0
    assert frozenset() == breakers.paused_tenants(TOPIC)


def test_junk_without_a_tenant_pauses_the_topic_and_no_other(breakers: TopicBreakers, clock: Clock) -> None:
    with pytest.raises(SourcePausedError, match="pauses for 60 s; nothing is lost"):
        breakers.count(TOPIC, {"": Tally(200, 200), "a": Tally(200, 0)})
    clock.now = 150.0
    with pytest.raises(SourcePausedError, match="pauses for 10 s"):
        breakers.check(TOPIC)
    breakers.check("feedback.raw.y")
    clock.now = 160.0
    breakers.check(TOPIC)


def test_many_tenants_with_junk_are_a_sign_of_a_broken_parser(breakers: TopicBreakers) -> None:
    junk = Tally(100, 100)
    breakers.count(TOPIC, {"a": junk, "b": junk, "c": Tally(100, 0), "d": Tally(100, 0)})
    with pytest.raises(SourcePausedError):
        breakers.count(TOPIC, {"c": Tally(100, 100)})
    assert frozenset() == breakers.paused_tenants(TOPIC), "they are not to blame"


@pytest.mark.parametrize("tenant,left", [("a", [""]), (None, [])])
def test_an_operator_lets_a_topic_or_a_tenant_go_on(
    breakers: TopicBreakers, tenant: str | None, left: list[str]
) -> None:
    with pytest.raises(SourcePausedError):
        breakers.count(TOPIC, {"": Tally(200, 200), "a": Tally(200, 200)})
    breakers.resume(TOPIC, tenant)
    assert left == [breaker.tenant for breaker in breakers.open_breakers()]
    breakers.resume("feedback.raw.y", "nobody")
