"""Forwards a request to the worker that owns the recipient's partition, over one hop at most.

The caller's token goes along. It is sent to URLs of the group's members only, which the assignment names, over TLS if
this worker is itself reached over TLS (`aftersend.engine.group.membership`); redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp
import yarl
from starlette.responses import Response

from aftersend.console.errors import ApiError, ErrorCode

#: Header of a forwarded request, which is answered by its receiver or not at all, so that requests do not loop.
FORWARDED: Final = "aftersend-forwarded"
_CONNECT_SECONDS: Final = 2.0
#: Time for an answer: a frozen worker accepts connections, but does not answer.
SECONDS: Final = 4.0
#: The same for an explanation, which reads a part of the events topic.
EXPLAIN_SECONDS: Final = 35.0
#: Statuses with which the owner rejects our caller's token: the two workers have different tokens.
_REJECTED: Final = frozenset({401, 403})
#: Headers of the owner's answer that are passed on.
_PASSED_ON: Final = ("content-type", "content-language", "retry-after", "cache-control")
#: Headers of the request that go along.
_GO_ALONG: Final = ("authorization", "accept-language")


class Forwarder:
    """HTTP client for other workers."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        url: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        *,
        seconds: float = SECONDS,
        body: bytes | None = None,
    ) -> Response:
        """Return another worker's answer.

        Args:
            url: of the worker.
            path: of the request, percent-encoded as received.
            query: of the request, as received.
            headers: of the request; those in `_GO_ALONG` go along.
            seconds: time for the answer.
            body: JSON to POST; None: a GET.

        Raises:
            ApiError: 503, if the worker does not answer, or rejects the token.
        """
        # Escapes stay as they are: an address may contain an encoded slash.
        target = yarl.URL(url.rstrip("/") + path + (f"?{query}" if query else ""), encoded=True)
        try:
            answer = await self._request(target, headers, seconds, body)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ApiError(
                ErrorCode.OWNER_UNREACHABLE,
                f"the worker that owns this recipient does not answer ({type(error).__name__})",
            ) from error
        if answer.status_code in _REJECTED or b'"api_off"' in bytes(answer.body):
            raise ApiError(
                ErrorCode.OWNER_UNREACHABLE,
                "the worker that owns this recipient rejects the token: all workers need the same AFTERSEND_API_TOKENS",
            )
        return answer

    async def _request(
        self, target: yarl.URL, given: Mapping[str, str], seconds: float, body: bytes | None
    ) -> Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(requote_redirect_url=False)
        headers = {FORWARDED: "1"} | {name: value for name in _GO_ALONG if (value := given.get(name))}
        method = "GET"
        if body is not None:
            method, headers["Content-Type"] = "POST", "application/json"
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        async with self._session.request(
            method, target, data=body, headers=headers, allow_redirects=False, timeout=timeout
        ) as answer:
            kept = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
            return Response(await answer.read(), answer.status, kept)
