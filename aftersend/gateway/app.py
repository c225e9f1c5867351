"""What happens to a request: where it leads, whether it is genuine, and 200 once Kafka has it. ASGI, nothing around it.

Every other answer but 401, 403, 404, 405, 413 and 415 makes a provider come again, so whatever goes wrong on our side
is a 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog

from aftersend.config.settings import Settings
from aftersend.gateway.access_log import AccessLog
from aftersend.gateway.answers import GONE, Answer, Answers
from aftersend.gateway.budget import Budget
from aftersend.gateway.endpoints import PREFIX, Door, Doors, Fetch
from aftersend.gateway.raw_writer import RawTopic
from aftersend.gateway.recorder import Recorder
from aftersend.sources.webhook import SignatureError, WebhookRequest

log = structlog.get_logger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: A closed door is told of at most so often, seconds.
_REMIND_SECONDS: Final = 60.0
_IDENTITY: Final = ("", "identity")


class Refused(Exception):  # noqa: N818 - no error of ours
    """A request gets another answer than 200; None: there is nobody left to answer."""

    def __init__(self, answer: Answer | None, why: str) -> None:
        super().__init__(why)
        self.answer = answer


class Progress:
    """How far a request has come."""

    __slots__ = ("ack_seconds", "held", "size", "source")

    def __init__(self) -> None:
        self.source = ""
        #: Bytes of the body that were read, and those of them that the budget holds for this request.
        self.size = 0
        self.held = 0
        self.ack_seconds: float | None = None


class GatewayApp:
    """The application.

    Args:
        settings: checked.
        doors: may be replaced while requests come in.
        topics: by source.
        budget: for what is in memory.
        recorder: told of every request.
        fetch: for addresses that a source wants visited.
        ready: whether the gateway can do its work.
    """

    def __init__(
        self,
        settings: Settings,
        doors: Doors,
        topics: Mapping[str, RawTopic],
        budget: Budget,
        recorder: Recorder,
        fetch: Fetch,
        ready: Callable[[], bool],
    ) -> None:
        self.doors = doors
        self._topics = topics
        self._budget = budget
        self._recorder = recorder
        self._fetch = fetch
        self._ready = ready
        self._answers = Answers(settings.gateway_retry_after)
        self._read_timeout = settings.gateway_read_timeout
        self._access = AccessLog(settings.gateway_access_log, show_ip=settings.gateway_log_ip)
        self._reminded: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        progress = Progress()
        why = ""
        try:
            answer: Answer | None = await self._answer(scope, receive, progress)
        except Refused as refused:
            answer, why = refused.answer, str(refused)
        except Exception:
            # A source's check must not fail on anything that comes in. If it does, the provider keeps the request.
            log.exception("failed on a request", source=progress.source)
            answer, why = self._answers.later, "failed"
        finally:
            self._budget.give(progress.held)
        status = answer.status if answer else GONE
        self._recorder.answered(progress.source, status, progress.size, progress.ack_seconds)
        if status != HTTPStatus.OK or self._access.all:
            client = scope["client"][0] if scope.get("client") else ""
            seconds = time.perf_counter() - started
            self._access.line(progress.source, status, seconds, progress.size, why, client)
        if answer is not None:
            await send(answer.head)
            await send(answer.body)

    async def _answer(self, scope: Scope, receive: Receive, progress: Progress) -> Answer:
        answers = self._answers
        path: str = scope["path"]
        door = self.doors.find(path)
        if door is None:
            if path in {"/live", "/ready"}:
                return answers.ok if path == "/live" or self._ready() else answers.later
            raise Refused(answers.unknown, "no such webhook" if path.startswith(PREFIX) else "no such path")
        progress.source = door.source
        method = scope["method"]
        if method != "POST":
            if method in {"GET", "HEAD"}:  # providers look whether there is anything before they send
                return answers.ok
            raise Refused(answers.method, "wrong method")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        topic = self._topics[door.source]
        self._admit(door, headers, topic)
        return await self._take(scope, receive, progress, door, headers)

    def _admit(self, door: Door, headers: Mapping[str, str], topic: RawTopic) -> None:
        """Refuse what can be refused before the body is there."""
        answers = self._answers
        if door.verify is None:
            self._remind(door)
            raise Refused(answers.closed, "no secret is set")
        if door.content_types:
            given = headers.get("content-type", "").partition(";")[0].strip().lower()
            if given not in door.content_types:
                raise Refused(answers.media_type, "wrong content type")
        if headers.get("content-encoding", "").lower() not in _IDENTITY:
            raise Refused(answers.media_type, "compressed")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > door.max_bytes:
            raise Refused(answers.large, "too large")
        if topic.stalled:
            raise Refused(answers.later, "Kafka does not acknowledge")

    async def _take(
        self, scope: Scope, receive: Receive, progress: Progress, door: Door, headers: Mapping[str, str]
    ) -> Answer:
        """Read, check and store a request."""
        answers = self._answers
        body = None
        try:
            async with asyncio.timeout(self._read_timeout):
                body = await self._read(receive, progress, door.max_bytes)
        except TimeoutError:
            # A slow body is no reason to lose it where the provider would not send it again.
            final = answers.slow.status in door.final_statuses
            raise Refused(answers.later if final else answers.slow, "too slow") from None
        now = time.time()
        query = scope.get("query_string", b"")
        target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        request = WebhookRequest(headers, body, now, target.decode("latin-1"))
        verify = door.verify
        if verify is None:
            raise Refused(answers.closed, "no secret is set")
        try:
            accepted = await verify(request)
        except SignatureError as error:
            raise Refused(answers.no_credentials if door.by_credentials else answers.unsigned, str(error)) from None
        except OSError as error:
            raise Refused(answers.later, f"can't be checked now: {error}") from None
        came = time.perf_counter()
        stored = self._topics[door.source].put(body, int(now * 1000), list(door.headers))
        progress.held = 0  # the topic gives it back
        if not await stored:
            raise Refused(answers.later, "Kafka has not acknowledged")
        progress.ack_seconds = time.perf_counter() - came
        if accepted.visit:
            await self._visit(door, accepted.visit)
        return answers.ok

    async def _read(self, receive: Receive, progress: Progress, limit: int) -> bytes:
        """Return the body.

        Raises:
            Refused: if it gets too long, there is no room for it, or the other side has gone.
        """
        chunks = []
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(None, "cut off")
            chunk: bytes = message["body"]
            more = message.get("more_body", False)
            size = len(chunk)
            progress.size += size
            if progress.size > limit:
                raise Refused(self._answers.large, "too large")
            if not self._budget.take(size):
                raise Refused(self._answers.later, "too much in memory")
            progress.held += size
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _visit(self, door: Door, url: str) -> None:
        """GET what the source wants visited; if that fails, the provider is to send the same again."""
        try:
            await self._fetch(url)
        except OSError as error:
            log.warning("visit failed", source=door.source, error=str(error))
            raise Refused(self._answers.later, "visit failed") from None
        log.info("visited, as the message asked for", source=door.source)

    def _remind(self, door: Door) -> None:
        """Tell the operator of a door that nobody can use."""
        now = time.monotonic()
        if now - self._reminded.get(door.source, -_REMIND_SECONDS) >= _REMIND_SECONDS:
            self._reminded[door.source] = now
            log.warning(
                "a webhook was refused: its source has no secret; set AFTERSEND_GATEWAY_SECRETS, or put a file into "
                "AFTERSEND_GATEWAY_SECRETS_DIR",
                source=door.source,
            )
