"""A worker's place in its group: for how long it is sure, and what it tells and is told of the owners."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from aftersend.engine.aiokafka.consumers import observe_membership
from aftersend.engine.group import membership
from aftersend.engine.group.assignor import SpreadAssignor
from aftersend.engine.group.membership import Membership

LIMIT = 10.0


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(membership, "now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_worker_without_a_confirmation_is_no_certain_member(clock: Clock) -> None:
    assert not Membership(LIMIT).fresh()


def test_a_confirmation_holds_until_the_broker_may_have_removed_the_member(clock: Clock) -> None:
    member = Membership(LIMIT)
    member.confirm(clock.now)
    clock.now += LIMIT - 0.001
    assert member.fresh()

    clock.now += 0.001
    assert not member.fresh()


def observe(client: Any, member: Membership) -> None:
    observe_membership(SimpleNamespace(_client=client), membership.now, member.confirm)


def heartbeat() -> Any:
    return HeartbeatRequest("group", 1, "member")


class Client:
    """Answers after a while with an error code."""

    def __init__(self, clock: Clock, code: int = 0, seconds: float = 0.0) -> None:
        self._clock, self._code, self._seconds = clock, code, seconds

    async def send(self, _node: int, _request: Any, **_options: Any) -> Any:
        self._clock.now += self._seconds
        return SimpleNamespace(error_code=self._code)


async def test_a_heartbeat_counts_from_when_it_was_sent(clock: Clock) -> None:
    """The broker's clock runs from its arrival, which was earlier than the answer's."""
    member, client = Membership(LIMIT), Client(clock, seconds=3.0)
    observe(client, member)

    await client.send(0, heartbeat(), group=1)

    assert 3.0 == member.age()


@pytest.mark.parametrize("code", [15, 16, 22, 25, 27])
async def test_a_heartbeat_that_was_refused_proves_nothing(clock: Clock, code: int) -> None:
    """Nor does one that was answered with "a rebalance is under way" (27): aiokafka takes that for a success."""
    member, client = Membership(LIMIT), Client(clock, code)
    observe(client, member)

    await client.send(0, heartbeat(), group=1)

    assert member.age() is None


async def test_joining_proves_nothing_before_the_assignment_is_there(clock: Clock) -> None:
    member, client = Membership(LIMIT), Client(clock)
    observe(client, member)
    await client.send(0, JoinGroupRequest("group", 6000, 3000, "", "consumer", [], None), group=1)
    assert member.age() is None

    await client.send(0, SyncGroupRequest("group", 1, "member", None, []), group=1)
    assert 0.0 == member.age()


class Cluster:
    @staticmethod
    def partitions_for_topic(topic: str) -> set[int]:
        return {"events": {0, 1, 2}, "raw": {0, 1}}[topic]


def assigned(*members: Membership) -> dict[str, ConsumerProtocolMemberAssignment]:
    """Return what the first of some members, as the leader, gives each."""
    assignors = {f"member-{i}": SpreadAssignor.of(member) for i, member in enumerate(members)}
    metadata = {name: assignor.metadata(["events", "raw"]) for name, assignor in assignors.items()}
    given = assignors["member-0"].assign(Cluster, metadata)
    for name, assignment in given.items():
        # Through bytes, as it travels.
        assignors[name].on_assignment(ConsumerProtocolMemberAssignment.decode(assignment.encode()))
    return given


def test_every_member_learns_of_all_owners() -> None:
    members = [Membership(LIMIT, f"http://w{i}:6066", "events") for i in range(2)]
    given = assigned(*members)

    for number in range(3):
        (owner,) = (i for i in range(2) if number in dict(given[f"member-{i}"].assignment).get("events", []))
        assert [f"http://w{owner}:6066"] * 2 == [member.url_of(number) for member in members]


def test_a_member_that_is_reached_nowhere_is_nobodys_owner() -> None:
    member = Membership(LIMIT, "", "events")
    assigned(member)

    assert [""] * 4 == [member.url_of(number) for number in range(4)]


@pytest.mark.parametrize("told", [b"", b"not json", b'{"http://w0": "0"}', b"[]"])
def test_a_leader_of_another_version_tells_nothing(told: bytes) -> None:
    member = Membership(LIMIT, "http://w0", "events")
    assigned(member)
    assert member.url_of(0)

    member.update_owners(told)

    assert not member.url_of(0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://w1:6066",
        "http://w1:6066/path",
        "http://user@w1:6066",
        "http://w1:6066#@other",
        "http://w1:6066?x",
        "http://w1 .example:6066",
        "http://w1\\.example",
        "http://",
    ],
)
def test_tokens_are_not_sent_to_what_is_no_address_of_a_worker(url: str) -> None:
    member = Membership(LIMIT, "http://w0", "events")

    member.update_owners(msgspec.json.encode({url: [0], "http://w2:6066": [1], "http://[fd00::1]:6066": [2]}))

    assert ["", "http://w2:6066", "http://[fd00::1]:6066"] == [member.url_of(number) for number in range(3)]


def test_a_worker_that_is_reached_over_tls_sends_no_token_without_it() -> None:
    member = Membership(LIMIT, "https://w0.example", "events")

    member.update_owners(msgspec.json.encode({"http://w1.example": [0], "https://w2.example:443": [1]}))

    assert ["", "https://w2.example:443"] == [member.url_of(number) for number in range(2)]


def test_one_workers_assignor_is_not_anothers() -> None:
    one, other = Membership(LIMIT, "http://one"), Membership(LIMIT, "http://other")

    assert SpreadAssignor.of(one).metadata([]).user_data != SpreadAssignor.of(other).metadata([]).user_data
    assert SpreadAssignor.of(one).name == SpreadAssignor.of(other).name == SpreadAssignor.name
