"""Circuit breakers for unreadable records: one for each topic, and one for each tenant of a topic.

A broken parser must not drain a topic into the dead letters, and one tenant's junk must not stop anybody else.

- Too many unreadable records of one tenant open that tenant's breaker: until it closes, its records go to the dead
  letters unparsed, where they wait for a replay. Everybody else's records are parsed.
- Too many unreadable records that name no tenant, or too many tenants with an open breaker, open the topic's breaker:
  the partition pauses before anything of that batch is committed.

An open breaker lets one batch through after a pause and opens again if that batch is no better (half-open).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

import structlog

from aftersend.config.settings import Settings
from aftersend.errors import SourcePausedError

log = structlog.get_logger(__name__)

#: Tenants of one topic whose breakers are kept. Beyond, they count as records without a tenant.
_MAX_TENANTS: Final = 10_000
#: Tenants with an open breaker that open the topic's own, if they are the larger part of its tenants.
_MIN_OPEN_TENANTS: Final = 3


class BreakerState(Enum):
    """State of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Tally(NamedTuple):
    """Numbers of records and of unreadable records in a batch."""

    records: int
    unreadable: int


class TenantPausedError(Exception):
    """A record is not parsed, since too many of its tenant's were unreadable; it goes to the dead letters."""


class BatchTallies:
    """Counts the records of one batch by tenant.

    Args:
        records: in the batch.
        paused: tenants whose records are not parsed now.
    """

    def __init__(self, records: int, paused: frozenset[str]) -> None:
        self._records = records
        self._paused = paused
        self._of_tenant: dict[str, list[int]] = {}
        self._skipped = self._unreadable = 0

    def admit(self, tenant: str) -> None:
        """Count a record of a tenant.

        Raises:
            TenantPausedError: if it is not to be parsed.
        """
        if tenant in self._paused:
            self._skipped += 1
            raise TenantPausedError(
                f"too many records of the tenant {tenant!r} were unreadable, so this one was not parsed: correct its "
                "source, then `aftersend sources resume` and `aftersend dead-letters replay`"
            )
        self._of_tenant.setdefault(tenant, [0, 0])[0] += 1

    def unreadable(self, tenant: str) -> None:
        """Count an unreadable record; "": of no tenant."""
        if tenant:
            self._of_tenant[tenant][1] += 1
        else:
            self._unreadable += 1

    def by_tenant(self) -> dict[str, Tally]:
        """Return the tallies; "" for records without a tenant."""
        tallies = {tenant: Tally(*counts) for tenant, counts in self._of_tenant.items()}
        rest = self._records - self._skipped - sum(tally.records for tally in tallies.values())
        return tallies | {"": Tally(rest, self._unreadable)}


class OpenBreaker(NamedTuple):
    """A breaker that is open, for operators."""

    topic: str
    #: "" for the topic's own.
    tenant: str
    #: When it lets a batch through, seconds of the clock.
    until: float


class Breaker:
    """Opens when too large a share of the last records is unreadable.

    Args:
        share: of the last records that may be unreadable, 0 to 1.
        window: number of last records that count. A closed breaker does not open before there were as many.
        pause: seconds until an open breaker lets a batch through.
    """

    def __init__(self, share: float, window: int, pause: float) -> None:
        self._share = share
        self._window = window
        self._pause = pause
        self._batches: deque[Tally] = deque()
        self._records = self._unreadable = 0
        self.state = BreakerState.CLOSED
        #: When an open breaker lets a batch through, seconds of the clock.
        self.until = 0.0

    def admits(self, now: float) -> bool:
        """Return whether records may be parsed; an open breaker whose pause is over becomes half-open."""
        if self.state is BreakerState.OPEN and now >= self.until:
            self.state = BreakerState.HALF_OPEN
        return self.state is not BreakerState.OPEN

    def count(self, tally: Tally, now: float) -> bool:
        """Count a batch; return whether the breaker is open afterwards."""
        if self.state is BreakerState.HALF_OPEN:
            if tally.unreadable > self._share * tally.records:
                self.open(now)
            else:
                self.close()
            return self._is_open()
        self._batches.append(tally)
        self._records += tally.records
        self._unreadable += tally.unreadable
        while self._records - self._batches[0].records >= self._window:
            oldest = self._batches.popleft()
            self._records -= oldest.records
            self._unreadable -= oldest.unreadable
        if self._records >= self._window and self._unreadable > self._share * self._records:
            self.open(now)
        return self._is_open()

    def _is_open(self) -> bool:
        return self.state is BreakerState.OPEN

    def close(self) -> None:
        """Close the breaker and reset its counts."""
        self.state = BreakerState.CLOSED
        self._batches.clear()
        self._records = self._unreadable = 0

    def open(self, now: float) -> None:
        """Open the breaker until the pause is over."""
        self.state = BreakerState.OPEN
        self.until = now + self._pause


class TopicBreakers:
    """The breakers of all topics that one agent reads.

    Args:
        share: as for `Breaker`.
        window: as for `Breaker`.
        pause: as for `Breaker`.
        now: a monotonic clock, seconds.
    """

    def __init__(self, share: float, window: int, pause: float, now: Callable[[], float]) -> None:
        self._share = share
        self._window = window
        self._pause = pause
        self._now = now
        self._topics: dict[str, Breaker] = {}
        self._tenants: dict[str, dict[str, Breaker]] = {}

    @classmethod
    def of(cls, settings: Settings) -> TopicBreakers:
        """Return the breakers for an installation's settings."""
        return cls(settings.breaker_share, settings.breaker_records, settings.breaker_pause, time.monotonic)

    def paused_tenants(self, topic: str) -> frozenset[str]:
        """Return the tenants of a topic whose records are not to be parsed now."""
        tenants = self._tenants.get(topic)
        if not tenants:
            return frozenset()
        now = self._now()
        return frozenset(name for name, breaker in tenants.items() if not breaker.admits(now))

    def check(self, topic: str) -> None:
        """Check that a topic's records may be parsed now.

        Raises:
            SourcePausedError: if they may not.
        """
        breaker = self._topics.get(topic)
        now = self._now()
        if breaker is not None and not breaker.admits(now):
            raise SourcePausedError(topic, breaker.until - now)

    def count(self, topic: str, tallies: Mapping[str, Tally]) -> None:
        """Count a batch.

        Args:
            topic: of the batch.
            tallies: by tenant, "" for records that name none; those of tenants that were not parsed are left out.

        Raises:
            SourcePausedError: if the topic pauses. The batch must not be committed.
        """
        now = self._now()
        tenants = self._tenants.setdefault(topic, {})
        records = unreadable = 0
        for name, tally in tallies.items():
            breaker = self._tenant(tenants, name)
            if breaker is None:
                records, unreadable = records + tally.records, unreadable + tally.unreadable
            elif breaker.count(tally, now):
                log.warning("tenant paused: too many unreadable records", topic=topic, tenant=name)
        own = self._topics.get(topic)
        if own is None:
            own = self._topics[topic] = self._new()
        if self._is_widespread(tenants):
            own.open(now)
            for breaker in tenants.values():
                breaker.close()
        elif records:
            own.count(Tally(records, unreadable), now)
        if own.state is BreakerState.OPEN:
            raise SourcePausedError(topic, own.until - now)

    def resume(self, topic: str, tenant: str | None = None) -> None:
        """Close a topic's breaker and those of its tenants; or one tenant's only."""
        tenants = self._tenants.get(topic, {})
        if tenant is not None:
            if tenant in tenants:
                tenants[tenant].close()
            return
        for breaker in (*tenants.values(), *filter(None, [self._topics.get(topic)])):
            breaker.close()

    def open_breakers(self) -> Iterator[OpenBreaker]:
        """Yield the breakers that are open."""
        for topic, breaker in self._topics.items():
            if breaker.state is BreakerState.OPEN:
                yield OpenBreaker(topic, "", breaker.until)
        for topic, tenants in self._tenants.items():
            for name, breaker in tenants.items():
                if breaker.state is BreakerState.OPEN:
                    yield OpenBreaker(topic, name, breaker.until)

    def _tenant(self, tenants: dict[str, Breaker], name: str) -> Breaker | None:
        """Return a tenant's breaker; None for records without a tenant, and beyond the bound."""
        breaker = tenants.get(name)
        if breaker is None and name and len(tenants) < _MAX_TENANTS:
            breaker = tenants[name] = self._new()
        return breaker

    @staticmethod
    def _is_widespread(tenants: Mapping[str, Breaker]) -> bool:
        """Return whether so many tenants have an open breaker that the parser is the likely cause."""
        opened = sum(breaker.state is BreakerState.OPEN for breaker in tenants.values())
        return opened >= _MIN_OPEN_TENANTS and 2 * opened > len(tenants)

    def _new(self) -> Breaker:
        return Breaker(self._share, self._window, self._pause)
