"""Whether nothing was committed: only a broker that says so, without an error, has said so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from faust.types import TP

from aftersend.engine.aiokafka.offsets import (
    UnstableOffsetError,
    all_committed_offsets,
    committed_offsets,
    wait_for_committed_offsets,
)
from aftersend.engine.aiokafka.requests import OffsetFetchResponse_v7, StableOffsetsRequest
from aftersend.errors import KafkaUnusableError
from tests.patience import PATIENCE

ASKED = [TP("events", 0), TP("events", 1)]
#: Offset and error code of each partition.
Partitions = list[tuple[int, int]]


def answer(code: int, partitions: Partitions) -> Any:
    """Return an answer to a consumer as aiokafka reads it from the wire."""
    listed: list[Any] = [
        (number, offset, 5, "", of_partition, {}) for number, (offset, of_partition) in enumerate(partitions)
    ]
    written = OffsetFetchResponse_v7(0, [("events", listed, {})] if listed else [], code, {}).encode()
    return OffsetFetchResponse_v7.decode(written)


def answer_to_admin(code: int, partitions: Partitions) -> Any:
    """Return an answer to an administrator, in the older version."""
    listed = [(number, offset, "", of_partition) for number, (offset, of_partition) in enumerate(partitions)]
    written = OffsetFetchResponse_v3(0, [("events", listed)] if listed else [], code).encode()
    return OffsetFetchResponse_v3.decode(written)


class Coordinator:
    """A group's coordinator that gives some answers in turn."""

    group_id = "group"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.dead = 0

    async def ensure_coordinator_known(self) -> None:
        pass

    async def _send_req(self, request: Any) -> Any:
        self.requests.append(request.prepare({9: (0, 10)}))
        return self.answers.pop(0)

    def coordinator_dead(self) -> None:
        self.dead += 1


class Admin:
    """An administrator's client that gets one answer."""

    def __init__(self, given: Any) -> None:
        self.given = given

    async def find_coordinator(self, _group: str) -> int:
        return 1

    async def _send_request(self, _request: Any, _node: int) -> Any:
        return self.given


def consumer(*answers: Any) -> Any:
    return SimpleNamespace(_coordinator=Coordinator(*answers))


async def test_offsets_that_were_committed_and_none() -> None:
    given = answer(0, [(7, 0), (-1, 0)])
    assert {TP("events", 0): 7} == await committed_offsets(consumer(given), ASKED)
    client: Any = Admin(answer_to_admin(0, [(7, 0), (-1, 0)]))
    assert {TP("events", 0): 7} == await all_committed_offsets(client, "group")


ERRORS = pytest.mark.parametrize(
    "code, partitions, error, dead",
    [
        pytest.param(14, [], GroupLoadInProgressError, 0, id="the broker loads the group"),
        pytest.param(15, [], GroupCoordinatorNotAvailableError, 1, id="no coordinator"),
        pytest.param(16, [], NotCoordinatorForGroupError, 1, id="another coordinator"),
        pytest.param(30, [], GroupAuthorizationFailedError, 0, id="not allowed"),
        pytest.param(14, [(-1, 0), (-1, 0)], GroupLoadInProgressError, 0, id="loading, with partitions"),
        pytest.param(0, [(7, 0), (-1, 14)], GroupLoadInProgressError, 0, id="loading one partition"),
        pytest.param(0, [(-1, 16), (-1, 0)], NotCoordinatorForGroupError, 1, id="another coordinator for one"),
        pytest.param(0, [(7, 0), (-1, 3)], UnknownTopicOrPartitionError, 0, id="an unknown partition"),
        pytest.param(0, [(7, 0), (7, 88)], UnstableOffsetError, 0, id="a transaction has not ended"),
        pytest.param(0, [(7, 0), (7, 999)], UnknownError, 0, id="a code that aiokafka does not know"),
    ],
)


@ERRORS
async def test_a_broker_that_does_not_know_yet_has_not_said_that_nothing_was_committed(
    code: int, partitions: Partitions, error: type[Exception], dead: int
) -> None:
    """Else everything would be read from the beginning and counted again."""
    asking = consumer(answer(code, partitions))
    with pytest.raises(error):
        await committed_offsets(asking, ASKED)
    assert dead == asking._coordinator.dead


@ERRORS
async def test_nor_has_it_said_so_to_an_administrator(
    code: int, partitions: Partitions, error: type[Exception], dead: int
) -> None:
    client: Any = Admin(answer_to_admin(code, partitions))
    with pytest.raises(error):
        await all_committed_offsets(client, "group")


@pytest.mark.parametrize("partitions", [[], [(7, 0)]])
async def test_a_partition_that_an_answer_leaves_out_is_an_error(partitions: Partitions) -> None:
    with pytest.raises(KafkaError, match="returned no offset of events-"):
        await committed_offsets(consumer(answer(0, partitions)), ASKED)


async def test_a_broker_that_cannot_tell_yet_is_asked_again() -> None:
    asking = consumer(answer(14, []), answer(0, [(7, 0), (-1, 16)]), answer(0, [(7, 0), (9, 0)]))
    assert {ASKED[0]: 7, ASKED[1]: 9} == await wait_for_committed_offsets(asking, ASKED, PATIENCE)
    assert [] == asking._coordinator.answers


async def test_a_broker_that_will_never_tell_is_not_asked_again() -> None:
    asking = consumer(answer(30, []), answer(0, [(7, 0), (9, 0)]))
    with pytest.raises(GroupAuthorizationFailedError):
        await wait_for_committed_offsets(asking, ASKED, PATIENCE)


async def test_asking_ends_with_the_patience() -> None:
    asking = consumer(*[answer(14, [])] * 100)
    with pytest.raises(TimeoutError):
        await wait_for_committed_offsets(asking, ASKED, 0.05)


@pytest.mark.parametrize("require_stable", [True, False])
async def test_stable_offsets_are_asked_for_where_they_matter(require_stable: bool) -> None:
    asking = consumer(answer(0, [(7, 0), (9, 0)]))
    await committed_offsets(asking, ASKED, require_stable=require_stable)
    (request,) = asking._coordinator.requests
    assert ("group", [("events", [0, 1], {})], require_stable, {}) == tuple(
        request.get_item(name) for name in request.SCHEMA.names
    )


def test_the_request_is_encoded_as_the_protocol_says() -> None:
    request = StableOffsetsRequest("g", {"t": [3]}).prepare({9: (1, 10)})
    assert bytes.fromhex("02 67  02 02 74 02 00000003 00  01 00") == request.encode()


async def test_an_unstable_offset_is_waited_for() -> None:
    asking = consumer(answer(0, [(7, 0), (7, 88)]), answer(0, [(7, 0), (9, 0)]))
    assert {ASKED[0]: 7, ASKED[1]: 9} == await wait_for_committed_offsets(asking, ASKED, PATIENCE, require_stable=True)


async def test_an_offset_that_stays_unstable_is_named() -> None:
    asking = consumer(*[answer(0, [(7, 0), (7, 88)])] * 100)
    with pytest.raises(UnstableOffsetError, match=r"events-1 is not stable, and still after 0\.05 s.*TIMEOUT"):
        await wait_for_committed_offsets(asking, ASKED, 0.05, require_stable=True)


async def test_a_broker_without_stable_offsets_is_too_old() -> None:
    class Old(Coordinator):
        async def _send_req(self, request: Any) -> Any:
            return request.prepare({9: (0, 6)})

    asking: Any = SimpleNamespace(_coordinator=Old())
    with pytest.raises(KafkaUnusableError, match=r"2\.5"):
        await committed_offsets(asking, ASKED)
