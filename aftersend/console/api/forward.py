"""Sends a question on to the worker that owns the answer: one hop and no further."""

from __future__ import annotations

from typing import Final

import aiohttp
import yarl
from starlette.responses import Response

from aftersend.console.errors import ApiError, ErrorCode

#: A request that has it is answered here or not at all, so no question goes in circles.
FORWARDED: Final = "aftersend-forwarded"
_CONNECT_SECONDS: Final = 2.0
#: A worker that is frozen takes connections all the same, but says nothing.
SECONDS: Final = 4.0
#: An explanation reads a part of the events topic.
EXPLAIN_SECONDS: Final = 35.0
#: What the owner says of the asker; if it knows other tokens than we do, that is not the asker's fault.
_REFUSED: Final = frozenset({401, 403})
_PASSED_ON: Final = ("content-type", "retry-after", "cache-control")


class Forwarder:
    """Asks other workers."""

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
        authorization: str | None,
        *,
        seconds: float = SECONDS,
        body: bytes | None = None,
    ) -> Response:
        """Return another worker's answer.

        Args:
            url: of the worker.
            path: of the request, as it came.
            query: of the request, as it came.
            authorization: of the request.
            seconds: to wait for the answer.
            body: JSON, to be posted; None: a GET.

        Raises:
            ApiError: 503, if the worker does not answer as it should.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(requote_redirect_url=False)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        headers = {FORWARDED: "1"} | ({"Authorization": authorization} if authorization else {})
        method = "GET"
        if body is not None:
            method, headers["Content-Type"] = "POST", "application/json"
        # Escapes stay as they are: an address may have a slash in it.
        target = yarl.URL(url.rstrip("/") + path + (f"?{query}" if query else ""), encoded=True)
        try:
            async with self._session.request(
                method, target, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as answer:
                said = await answer.read()
                status, told = answer.status, answer.headers
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            message = f"the worker that has this recipient does not answer ({type(error).__name__})"
            raise ApiError(ErrorCode.OWNER_UNREACHABLE, message) from error
        if status in _REFUSED or b'"api_off"' in said:
            message = "the worker that has this recipient does not know your token: are its api_tokens others?"
            raise ApiError(ErrorCode.OWNER_UNREACHABLE, message)
        kept = {name: told[name] for name in _PASSED_ON if name in told}
        return Response(said, status, kept)
