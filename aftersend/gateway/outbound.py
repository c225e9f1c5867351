"""HTTPS requests that sources ask for: signing certificates and confirmations of subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

#: Longest body, bytes: certificates have a few kB, confirmations less.
_MAX_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 16 * 1024
#: Time for one request, seconds: well within the response window of the webhook that waits for it.
_TIMEOUT_SECONDS: Final = 4.0
_OK: Final = 200


class Fetcher:
    """Fetches over HTTPS without redirects and without proxies from the environment, bounded in time and size.

    Args:
        files: by URL, a file to read instead of fetching.
    """

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self._files = dict(files or {})
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """GET a URL and return the body.

        Raises:
            OSError: on any failure.
        """
        if url in self._files:
            return await asyncio.to_thread(Path(self._files[url]).read_bytes)
        if urlsplit(url).scheme != "https":
            raise OSError("not an https address")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != _OK:
                    raise OSError(f"status {response.status} from {urlsplit(url).hostname}")
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise OSError(f"more than {_MAX_BYTES} bytes from {urlsplit(url).hostname}")
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise OSError(f"{urlsplit(url).hostname} can't be reached: {type(error).__name__}") from error

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()
