"""Live KPIs of deliveries, from Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, cast

import orjson
import redis

from aftersend.config.settings import Settings
from aftersend.errors import RedisUnusableError
from aftersend.publish.kpis import Kpis, from_hash, key_of, pattern_of

#: Hashes read in one round trip.
_PAGE: Final = 500
_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
#: Shortest time between two results of `follow`, seconds.
_PAUSE_SECONDS: Final = 0.25
#: A delivery is read again after this time without an announcement, seconds: announcements may get lost.
_POLL_SECONDS: Final = 5.0
#: Pause before a retry after an error, seconds.
_RETRY_SECONDS: Final = 1.0


class RedisKpis:
    """Reads the hashes that `aftersend.publish.redis.publisher` writes.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self.prefix = settings.redis_prefix
        self.client = redis.Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
        )

    def key(self, delivery_id: str) -> str:
        """Return the key of a delivery's hash."""
        return key_of(self.prefix, delivery_id)

    def read_hash(self, delivery_id: str) -> dict[str, str]:
        """Return a delivery's hash; empty if there is none.

        Raises:
            RedisUnusableError: if Redis does not answer.
        """
        try:
            return cast("dict[str, str]", self.client.hgetall(self.key(delivery_id)))
        except redis.RedisError as error:
            raise self.unusable(error) from error

    def read(self, delivery_id: str) -> Kpis | None:
        """Return a delivery's KPIs; None if there are none.

        Raises:
            RedisUnusableError: if Redis does not answer.
        """
        values = self.read_hash(delivery_id)
        return from_hash(delivery_id, values) if values else None

    def deliveries(self) -> list[str]:
        """Return the ids of all deliveries.

        Raises:
            RedisUnusableError: if Redis does not answer.
        """
        start = self.key("")
        try:
            return [key.removeprefix(start) for key in self.client.scan_iter(pattern_of(self.prefix), count=_PAGE)]
        except redis.RedisError as error:
            raise self.unusable(error) from error

    def read_all(self) -> Iterable[Kpis]:
        """Yield the KPIs of all deliveries.

        Raises:
            RedisUnusableError: if Redis does not answer.
        """
        delivery_ids = self.deliveries()
        for start in range(0, len(delivery_ids), _PAGE):
            page = delivery_ids[start : start + _PAGE]
            pipe = self.client.pipeline(transaction=False)
            for delivery_id in page:
                pipe.hgetall(self.key(delivery_id))
            try:
                hashes = pipe.execute()
            except redis.RedisError as error:
                raise self.unusable(error) from error
            # A delivery that has expired meanwhile has no hash.
            yield from (from_hash(delivery_id, found) for delivery_id, found in zip(page, hashes, strict=True) if found)

    def follow(self, delivery_id: str) -> Iterator[Kpis]:
        """Yield a delivery's KPIs now and after every change, without end.

        Raises:
            RedisUnusableError: if Redis does not answer before the first result; later errors are retried.
        """
        revision = None
        while True:
            try:
                with self._announcements() as announcements:
                    while True:
                        values = self.read_hash(delivery_id)
                        if values and values.get("revision") != revision:
                            revision = values.get("revision")
                            yield from_hash(delivery_id, values)
                            time.sleep(_PAUSE_SECONDS)
                        _wait_for_announcement(announcements, delivery_id)
            except (redis.RedisError, RedisUnusableError) as error:
                if revision is None:
                    raise self.unusable(error) from error
                time.sleep(_RETRY_SECONDS)

    def _announcements(self) -> redis.client.PubSub:
        pubsub: redis.client.PubSub = self.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        pubsub.subscribe(f"{self.prefix}:changes")
        return pubsub

    def unusable(self, error: Exception) -> RedisUnusableError:
        """Return the error that a command ends with, for an error of the client."""
        server = self._url.rpartition("@")[2]  # without the password
        return RedisUnusableError(f"Redis at {server} (AFTERSEND_REDIS_URL) does not answer: {error}")


def _wait_for_announcement(announcements: redis.client.PubSub, delivery_id: str) -> None:
    """Return when a change of the delivery is announced, or after `_POLL_SECONDS`."""
    end = time.monotonic() + _POLL_SECONDS
    while (left := end - time.monotonic()) > 0:
        message = announcements.get_message(timeout=left)
        if message is not None and orjson.loads(message["data"]).get("delivery_id") == delivery_id:
            return
