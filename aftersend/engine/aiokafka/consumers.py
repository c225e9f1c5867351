"""Private parts of aiokafka's consumer: errors of its background tasks, offsets, responses of the group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.types import TP

#: Only a member of the present generation gets a response without an error to these.
_MEMBERSHIP_PROOFS: Final = (HeartbeatRequest, SyncGroupRequest)


class FetchState(NamedTuple):
    """How far a partition was fetched."""

    #: Offset of the next record to fetch; None: not known yet.
    position: int | None
    #: End of the committed records at the last fetch; None: not known yet.
    end: int | None


def is_closed(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """Return whether a consumer was stopped."""
    return bool(consumer._closed)


def group_error(consumer: aiokafka.AIOKafkaConsumer) -> KafkaError | None:
    """Return an error of the group's coordination and let the coordination continue; None: there is none.

    Raises:
        KafkaError: if the coordination has ended by the error.
    """
    coordinator = consumer._coordinator
    try:
        coordinator.check_errors()
    except KafkaError as error:
        if coordinator._coordination_task.done():
            raise
        return error
    return None


def check_tasks(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Check the tasks that refresh metadata and fetch.

    Raises:
        KafkaError: if one of them has returned; if it has failed, its own exception.
    """
    for task in (consumer._client._sync_task, consumer._fetcher._fetch_task):
        if task is not None and task.done():
            task.result()
            raise KafkaError(f"{task.get_name()} of aiokafka has ended")


def fetch_state(consumer: aiokafka.AIOKafkaConsumer, tp: TP) -> FetchState | None:
    """Return how far a partition was fetched; None: it is not assigned.

    May be called from another thread, since it only reads numbers.

    Raises:
        LookupError: if the consumer has no assignment, or it changes meanwhile.
    """
    try:
        state = consumer._subscription.subscription.assignment.state_value(tp)
        if state is None:
            return None
        end = state.highwater if state.lso is None or state.lso < 0 else state.lso
        return FetchState(state._position, end)
    except (AttributeError, TypeError) as error:
        raise LookupError("the consumer has no assignment") from error


def observe_membership(
    consumer: aiokafka.AIOKafkaConsumer, clock: Callable[[], float], confirmed: Callable[[float], None]
) -> None:
    """Call `confirmed` whenever a response proves that the consumer is a member of its group.

    Args:
        consumer: not started yet.
        clock: seconds.
        confirmed: called with the time at which the request was sent.
    """
    client = consumer._client
    send = client.send

    async def send_and_observe(node_id: int, request: Any, *args: Any, **kwargs: Any) -> Any:
        sent_at = clock()
        response = await send(node_id, request, *args, **kwargs)
        if isinstance(request, _MEMBERSHIP_PROOFS) and not response.error_code:
            confirmed(sent_at)
        return response

    client.send = send_and_observe
