"""Posts a simulated provider's events to a gateway, and tries again as a provider does."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from aftersend.errors import AftersendError
from aftersend.schemas.raw import RawRecord
from aftersend.sources.simulation.simulator import Request, Sign

#: Answers after which trying again is of no use: something is wrong with what is sent, or where to.
_FINAL: Final = frozenset({400, 401, 403, 404, 405, 411, 413, 415})
_HINTS: Final = {
    401: "the gateway does not know this key: have AFTERSEND_GATEWAY_SECRETS_DIR and "
    "AFTERSEND_GATEWAY_CERTIFICATES say what `aftersend simulate --make-key` printed",
    403: "the gateway has no secret for this source: set AFTERSEND_GATEWAY_SECRETS_DIR to what `aftersend simulate "
    "--make-key` printed",
    404: "is --url that of a gateway of this version?",
    413: "lower --batch, or raise AFTERSEND_GATEWAY_MAX_BODY_BYTES",
}
#: Seconds before the first repetition where the answer does not say, doubled each time up to the longest.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_TIMEOUT: Final = 30.0
#: Where nobody has ever answered, nobody is there, seconds. Who has answered once may be restarting.
_NOBODY: Final = 10.0
#: How far ahead of its time a request may be sent, seconds: sleeping for less is not worth it.
_TICK: Final = 0.02


class Posted(msgspec.Struct):
    """What became of the requests."""

    requests: int = 0
    events: int = 0
    #: By status, and by the kind of failure where there was no answer; repetitions are counted too.
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    repeated: int = 0


def batches(records: Iterable[RawRecord], size: int) -> Iterator[list[bytes]]:
    """Yield events in lists of a size, the last one shorter."""
    batch: list[bytes] = []
    for record in records:
        batch.append(record.value)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


class Poster:
    """Posts requests, several at a time.

    Args:
        url: of the webhook.
        sign: makes a request of events, anew for each attempt.
        connections: how many requests may be under way at once.
        patience: seconds until a request that is refused again and again is given up.
        on_posted: told now and then how many events were taken so far.
    """

    def __init__(
        self,
        url: str,
        sign: Sign,
        *,
        connections: int = 20,
        patience: float = 300.0,
        on_posted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._url = url
        self._sign = sign
        self._connections = connections
        self._patience = patience
        self._on_posted = on_posted
        self._answered = False
        self._started = time.monotonic()
        self.posted = Posted()

    async def post_all(self, events: Iterable[list[bytes]], rate: float = 0.0) -> Posted:
        """Post all, each until it is taken; return what became of them.

        Args:
            events: those of each request.
            rate: events a second; 0: as fast as they go.

        Raises:
            AftersendError: if a request is refused for good, or for too long.
        """
        waiting: set[asyncio.Task[None]] = set()
        self._started = started = time.monotonic()
        count = 0
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        connector = aiohttp.TCPConnector(limit=self._connections)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            try:
                for batch in events:
                    if rate and (ahead := started + count / rate - time.monotonic()) > _TICK:
                        await asyncio.sleep(ahead)
                    if len(waiting) >= self._connections:
                        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    self._collect(waiting)
                    waiting.add(asyncio.create_task(self._post(session, batch)))
                    count += len(batch)
                while waiting:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    self._collect(waiting)
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
        return self.posted

    def _collect(self, waiting: set[asyncio.Task[None]]) -> None:
        """Take out those that have ended, and hear what ended them."""
        for task in [task for task in waiting if task.done()]:
            waiting.discard(task)
            task.result()
        self._on_posted(self.posted.events)

    async def _post(self, session: aiohttp.ClientSession, batch: list[bytes]) -> None:
        posted = self.posted
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            answer, wait = await self._attempt(session, self._sign(batch))
            posted.answers[answer] += 1
            if answer == str(HTTPStatus.OK.value):
                posted.requests += 1
                posted.events += len(batch)
                return
            if not self._answered and time.monotonic() > self._started + _NOBODY:
                raise AftersendError(
                    f"nobody answers at {self._url} ({answer}): is the gateway running (`aftersend gateway`)?"
                )
            if time.monotonic() > deadline:
                raise AftersendError(
                    f"{self._url} has not taken a request within {self._patience:g} s; the last answer: {answer}"
                )
            posted.repeated += 1
            # Not all at the same moment again.
            await asyncio.sleep((wait if wait is not None else pause) * random.uniform(1.0, 1.25))
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _attempt(self, session: aiohttp.ClientSession, request: Request) -> tuple[str, float | None]:
        """Return the answer's status, or what failed instead, and after how many seconds to come again if it says."""
        try:
            async with session.post(self._url, data=request.body, headers=request.headers) as answer:
                self._answered = True
                await answer.read()
                if answer.status in _FINAL:
                    hint = _HINTS.get(answer.status, "see the gateway's log")
                    raise AftersendError(f"{self._url} answers {answer.status} {answer.reason or ''}: {hint}")
                return str(answer.status), _retry_after(answer.headers)
        except aiohttp.InvalidURL as error:
            raise AftersendError(f"--url {self._url} is no address") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__, None


def _retry_after(headers: Any) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
