"""The ASGI application of the gateway: find the endpoint, verify the request, store its body, answer 200.

Bodies are stored before they are parsed, and a request is answered with 200 only when Kafka has acknowledged it (Steps
5 to 7 of `docs/guide/architecture.md`). Providers retry after any other answer but 401, 403, 404, 405, 413 and 415, so
every failure on our side is a 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog

from aftersend.config.settings import Settings
from aftersend.gateway.endpoints import PREFIX, Endpoint, Endpoints, Fetch
from aftersend.gateway.http.access_log import AccessLog
from aftersend.gateway.http.answers import CLIENT_GONE, Answer, Answers
from aftersend.gateway.raw.budget import MemoryBudget
from aftersend.gateway.raw.topic import RawTopic
from aftersend.gateway.recorder import RequestRecorder
from aftersend.sources.webhook import Accepted, SignatureError, Verifier, WebhookRequest

log = structlog.get_logger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: Between two warnings about the same closed endpoint, seconds: providers retry for days.
_WARN_INTERVAL_SECONDS: Final = 60.0
_IDENTITY: Final = ("", "identity")


class RequestRejected(Exception):  # noqa: N818 - the request is at fault, nothing here
    """A request gets another answer than 200.

    Args:
        answer: None: the client has disconnected.
        reason: for the access log.
    """

    def __init__(self, answer: Answer | None, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


class RequestProgress:
    """What is known of a request so far."""

    __slots__ = ("ack_seconds", "reserved", "size", "source")

    def __init__(self) -> None:
        self.source = ""
        #: Bytes of the body that were read, and bytes that are reserved from the budget.
        self.size = 0
        self.reserved = 0
        #: Seconds from the end of the body until Kafka's acknowledgement; None: not stored.
        self.ack_seconds: float | None = None


class GatewayApp:
    """The application.

    Args:
        settings: checked.
        endpoints: may be replaced while requests are processed.
        topics: by source.
        budget: for bodies in memory.
        recorder: counts every request.
        fetch: for confirmation URLs.
        ready: whether webhooks are accepted.
    """

    def __init__(
        self,
        settings: Settings,
        endpoints: Endpoints,
        topics: Mapping[str, RawTopic],
        budget: MemoryBudget,
        recorder: RequestRecorder,
        fetch: Fetch,
        ready: Callable[[], bool],
    ) -> None:
        self.endpoints = endpoints
        self._topics = topics
        self._budget = budget
        self._recorder = recorder
        self._fetch = fetch
        self._ready = ready
        self._answers = Answers(settings.gateway_retry_after)
        self._read_timeout = settings.gateway_read_timeout
        self._access = AccessLog(settings.gateway_access_log, show_ip=settings.gateway_log_ip)
        self._warned_at: dict[tuple[str, str], float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        progress = RequestProgress()
        why = ""
        try:
            answer: Answer | None = await self._answer(scope, receive, progress)
        except RequestRejected as rejected:
            answer, why = rejected.answer, str(rejected)
        except Exception:
            # A source's verifier must not raise anything else, whatever the request. If it does, the provider retries.
            log.exception("failed on a request", source=progress.source)
            answer, why = self._answers.retry_later, "failed"
        finally:
            self._budget.release(progress.reserved)
        status = answer.status if answer else CLIENT_GONE
        self._recorder.answered(progress.source, status, progress.size, progress.ack_seconds)
        if status != HTTPStatus.OK or self._access.all:
            client = scope["client"][0] if scope.get("client") else ""
            seconds = time.perf_counter() - started
            self._access.line(progress.source, status, seconds, progress.size, why, client)
        if answer is not None:
            await send(answer.head)
            await send(answer.body)

    async def _answer(self, scope: Scope, receive: Receive, progress: RequestProgress) -> Answer:
        answers = self._answers
        path: str = scope["path"]
        endpoint = self.endpoints.find(path)
        if endpoint is None:
            if path in {"/live", "/ready"}:
                return answers.accepted if path == "/live" or self._ready() else answers.retry_later
            raise RequestRejected(answers.not_found, "no such webhook" if path.startswith(PREFIX) else "no such path")
        progress.source = endpoint.source
        method = scope["method"]
        if method != "POST":
            if method in {"GET", "HEAD"}:  # providers probe the URL before they send
                return answers.accepted
            raise RequestRejected(answers.wrong_method, "wrong method")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        topic = self._topics[endpoint.source]
        verify = self._check_headers(endpoint, headers, topic)
        body = await self._receive(receive, progress, endpoint)
        now = time.time()
        query = scope.get("query_string", b"")
        target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        # Step 5. Verify that the provider sent the request.
        accepted = await self._verify(verify, WebhookRequest(headers, body, now, target.decode("latin-1")), endpoint)
        # Step 6. Put the unparsed body into the open batch of the raw topic.
        received = time.perf_counter()
        stored = topic.put(body, int(now * 1000), list(endpoint.headers))
        progress.reserved = 0  # the topic releases it
        # Step 7. Answer only when all replicas in sync have acknowledged the batch.
        if not await stored:
            raise RequestRejected(answers.retry_later, "Kafka has not acknowledged")
        progress.ack_seconds = time.perf_counter() - received
        if accepted.confirm_url:
            await self._confirm(endpoint, accepted.confirm_url)
        return answers.accepted

    def _check_headers(self, endpoint: Endpoint, headers: Mapping[str, str], topic: RawTopic) -> Verifier:
        """Reject what can be rejected before the body is read; return the endpoint's verifier."""
        answers = self._answers
        if endpoint.verify is None:
            self._warn_closed(endpoint)
            raise RequestRejected(answers.closed, "no secret is set")
        if endpoint.content_types:
            given = headers.get("content-type", "").partition(";")[0].strip().lower()
            if given not in endpoint.content_types:
                raise RequestRejected(answers.wrong_media_type, "wrong content type")
        if headers.get("content-encoding", "").lower() not in _IDENTITY:
            raise RequestRejected(answers.wrong_media_type, "compressed")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > endpoint.max_bytes:
            raise RequestRejected(answers.too_large, "too large")
        if topic.stalled:
            raise RequestRejected(answers.retry_later, "Kafka does not acknowledge")
        return endpoint.verify

    async def _receive(self, receive: Receive, progress: RequestProgress, endpoint: Endpoint) -> bytes:
        """Return the body, within the time that a request may take."""
        answers = self._answers
        try:
            async with asyncio.timeout(self._read_timeout):
                return await self._read(receive, progress, endpoint.max_bytes)
        except TimeoutError:
            # A provider that takes the 408 as final would not retry.
            final = answers.too_slow.status in endpoint.final_statuses
            raise RequestRejected(answers.retry_later if final else answers.too_slow, "too slow") from None

    async def _verify(self, verify: Verifier, request: WebhookRequest, endpoint: Endpoint) -> Accepted:
        answers = self._answers
        try:
            return await verify(request)
        except SignatureError as error:
            answer = answers.wrong_credentials if endpoint.by_credentials else answers.wrong_signature
            raise RequestRejected(answer, str(error)) from None
        except OSError as error:
            raise RequestRejected(answers.retry_later, f"can't be checked now: {error}") from None

    async def _read(self, receive: Receive, progress: RequestProgress, limit: int) -> bytes:
        """Return the body.

        Raises:
            RequestRejected: if it is too long, exceeds the memory budget, or the client has disconnected.
        """
        chunks = []
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise RequestRejected(None, "cut off")
            chunk: bytes = message["body"]
            more = message.get("more_body", False)
            size = len(chunk)
            progress.size += size
            if progress.size > limit:
                raise RequestRejected(self._answers.too_large, "too large")
            if not self._budget.acquire(size):
                raise RequestRejected(self._answers.retry_later, "too much in memory")
            progress.reserved += size
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _confirm(self, endpoint: Endpoint, url: str) -> None:
        """GET a confirmation URL; if that fails, the provider sends its request again."""
        try:
            await self._fetch(url)
        except OSError as error:
            log.warning("confirmation failed", source=endpoint.source, error=str(error))
            raise RequestRejected(self._answers.retry_later, "confirmation failed") from None
        log.info("subscription confirmed", source=endpoint.source)

    def _warn_closed(self, endpoint: Endpoint) -> None:
        """Warn the operator that a provider uses an endpoint without a secret."""
        now = time.monotonic()
        key = endpoint.source, endpoint.tenant
        if now - self._warned_at.get(key, -_WARN_INTERVAL_SECONDS) >= _WARN_INTERVAL_SECONDS:
            self._warned_at[key] = now
            log.warning(
                "a webhook was rejected: its source, or the tenant of its path, has no secret; set "
                "AFTERSEND_GATEWAY_SECRETS, or put a file into AFTERSEND_GATEWAY_SECRETS_DIR",
                source=endpoint.source,
                tenant=endpoint.tenant,
            )
