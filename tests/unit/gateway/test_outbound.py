import asyncio

import pytest
from aiohttp import web

from aftersend.gateway.outbound import Fetcher
from aftersend.sandbox.embedded.ports import pick_free


async def test_only_https_urls_are_fetched() -> None:
    """Also where something would answer."""
    application = web.Application()
    (port,) = pick_free(1)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    fetcher = Fetcher()
    try:
        for url in (f"http://127.0.0.1:{port}/", "file:///etc/passwd", "", "https//"):
            with pytest.raises(OSError, match="not an https address"):
                await fetcher.fetch(url)
        with pytest.raises(OSError, match=r"127\.0\.0\.1 can't be reached"):
            await fetcher.fetch(f"https://127.0.0.1:{port}/")
    finally:
        await fetcher.close()
        await runner.cleanup()
        await asyncio.sleep(0)
