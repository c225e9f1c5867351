"""What a worker knows of its group: since when it is surely a member of it, and who has which partition.

A worker that was frozen does not know that its partitions went to others meanwhile; its memory shows what was. So
whoever reads from that memory asks here, after the reading, whether the worker was surely still the owner.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

#: The broker answers these without an error only to a member of the present generation.
_PROOFS: Final = (HeartbeatRequest, SyncGroupRequest)
#: Goes on while the machine sleeps, where there is such a clock: brokers do not sleep with us.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, list[int]]).decode


def now() -> float:
    """Return seconds of a clock that never stands still."""
    return time.clock_gettime(_CLOCK)


class Membership:
    """A worker's place in its group.

    Args:
        limit: for so many seconds after a sign of life nobody else can have got our partitions: the broker waits for
            the session timeout before it gives up on a member that is silent, and for the rebalance timeout where
            others come or go.
        url: where other workers reach this one; "": nowhere.
        topic: whose partitions' owners are told.
    """

    def __init__(self, limit: float, url: str = "", topic: str = "") -> None:
        self.url = url
        self.topic = topic
        self._limit = limit
        self._sure_at: float | None = None
        self._urls: dict[int, str] = {}

    def age(self) -> float | None:
        """Return how many seconds ago the worker was surely a member; None: it never was."""
        return None if self._sure_at is None else now() - self._sure_at

    def fresh(self) -> bool:
        """Tell whether nobody else can have got our partitions by now."""
        age = self.age()
        return age is not None and 0 <= age < self._limit

    def heard(self, sent_at: float) -> None:
        """Take note of a proof; what counts is when it was asked for, since the broker's clock runs from then on."""
        self._sure_at = sent_at

    def watch(self, client: Any) -> None:
        """Learn from all that a client of aiokafka asks."""
        send = client.send

        async def listening(node_id: int, request: Any, *args: Any, **kwargs: Any) -> Any:
            sent_at = now()
            response = await send(node_id, request, *args, **kwargs)
            if isinstance(request, _PROOFS) and not response.error_code:
                self.heard(sent_at)
            return response

        client.send = listening

    # Who has which partition: told by the group's leader with the assignment itself.

    def url_of(self, partition: int) -> str:
        """Return where the owner of a partition of the topic is reached; "": not known."""
        return self._urls.get(partition, "")

    def learn(self, told: bytes) -> None:
        """Take note of what the leader tells of all owners."""
        try:
            partitions = _decode(told) if told else {}
        except msgspec.MsgspecError:  # a leader of another version
            partitions = {}
        self._urls = {number: url for url, numbers in partitions.items() for number in numbers}


def tell(urls: Mapping[str, str], partitions: Mapping[str, list[int]]) -> bytes:
    """Return what the leader tells every member of the owners.

    Args:
        urls: by member, where it is reached; those that are "" are left out.
        partitions: by member, which partitions of the topic it gets.
    """
    owners: dict[str, list[int]] = {}
    for member, numbers in partitions.items():
        if url := urls.get(member, ""):
            owners.setdefault(url, []).extend(numbers)
    return _encode(owners)
