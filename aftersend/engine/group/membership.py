"""A worker's view of its group: until when it is certainly a member, and who owns which partition.

A worker that was frozen cannot see that its partitions moved to others meanwhile: its memory is stale. Whoever reads
from that memory asks here, after reading, whether the worker was certainly still the owner.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final

import msgspec

#: Counts on while the machine is suspended, where there is such a clock: brokers are not suspended with it.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
#: Scheme and host, and a port: no user, no path.
_URL: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TLS: Final = "https://"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, list[int]]).decode


def now() -> float:
    """Return seconds of a clock that never stands still."""
    return time.clock_gettime(_CLOCK)


class Membership:
    """A worker's membership of its group.

    Args:
        limit: seconds after a confirmation during which no other worker can own our partitions: the broker waits for
            the session timeout before it removes a silent member, and for the rebalance timeout when members change.
        url: where other workers reach this one; "": nowhere.
        topic: the topic whose owners are published in the group.
    """

    def __init__(self, limit: float, url: str = "", topic: str = "") -> None:
        self.url = url
        self.topic = topic
        self._limit = limit
        self._confirmed_at: float | None = None
        self._urls: dict[int, str] = {}

    def age(self) -> float | None:
        """Return the seconds since the last confirmed membership; None: there was none."""
        return None if self._confirmed_at is None else now() - self._confirmed_at

    def fresh(self) -> bool:
        """Return whether no other worker can own our partitions by now."""
        age = self.age()
        return age is not None and 0 <= age < self._limit

    def confirm(self, sent_at: float) -> None:
        """Record a confirmation by the broker; its time is that of the request, since the broker's timeout began then.

        Args:
            sent_at: by `now`.
        """
        self._confirmed_at = sent_at

    def url_of(self, partition: int) -> str:
        """Return where the owner of a partition of the topic is reached; "": not known."""
        return self._urls.get(partition, "")

    def update_owners(self, encoded: bytes) -> None:
        """Replace the owners by those that the group's leader has sent with the assignment (`encode_owners`).

        Owners with a URL that is not allowed are left out, so that nothing is forwarded to them.
        """
        try:
            partitions = _decode(encoded) if encoded else {}
        except msgspec.MsgspecError:  # a leader of another version
            partitions = {}
        self._urls = {number: url for url, numbers in partitions.items() if self._is_allowed(url) for number in numbers}

    def _is_allowed(self, url: str) -> bool:
        """Return whether the tokens of callers may be sent to a URL: over TLS if this worker is itself reached so."""
        return _URL.fullmatch(url) is not None and url.startswith(_TLS if self.url.startswith(_TLS) else "http")


def encode_owners(urls: Mapping[str, str], partitions: Mapping[str, list[int]]) -> bytes:
    """Return the owners as the leader sends them to every member.

    Args:
        urls: by member, where it is reached; members with "" are left out.
        partitions: by member, the partitions of the topic that it gets.
    """
    owners: dict[str, list[int]] = {}
    for member, numbers in partitions.items():
        if url := urls.get(member, ""):
            owners.setdefault(url, []).extend(numbers)
    return _encode(owners)
