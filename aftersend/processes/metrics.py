"""The route `/metrics` of a process, which may ask for a token."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aftersend.config.sections.health import MIN_METRICS_TOKEN
from aftersend.config.settings import Settings
from aftersend.console.auth import VIEWER, TokenAuth
from aftersend.console.errors import ApiError
from aftersend.errors import SettingsError
from aftersend.publish.prometheus.page import MetricsPage


def metrics_route(settings: Settings, page: MetricsPage) -> Route:
    """Return the route; without a token in the settings anyone who can connect may read it.

    Args:
        settings: of the process.
        page: what is shown.

    Raises:
        SettingsError: if the file of tokens can't be read, or holds none.
    """
    tokens = _tokens(settings)
    if not tokens:
        return Route("/metrics", page.__call__)
    auth = TokenAuth(dict.fromkeys(tokens, VIEWER))

    async def show(request: Request) -> Response:
        try:
            auth.role(request.headers.get("authorization"), request.headers.get("host"))
        except ApiError as error:
            return PlainTextResponse(f"{error}\n", 401, error.headers)
        return await page(request)

    return Route("/metrics", show)


def _tokens(settings: Settings) -> list[str]:
    """Return all tokens that open the page.

    Raises:
        SettingsError: if their file can't be read, or holds a line that is no token, or none at all: a page that was
            meant to be closed must not be open for want of one.
    """
    tokens = [settings.metrics_token] if settings.metrics_token else []
    path = settings.metrics_tokens_file
    return tokens if path is None else tokens + _read(path)


def _read(path: Path) -> list[str]:
    name = f"setting 'metrics_tokens_file' (AFTERSEND_METRICS_TOKENS_FILE): {path}"
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name} can't be read: {error}") from error
    tokens = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        # The line itself is secret.
        if len(words) != 1 or len(words[0]) < MIN_METRICS_TOKEN:
            raise SettingsError(f"{name}, line {number}: one token of at least {MIN_METRICS_TOKEN} characters")
        tokens += words
    if not tokens:
        raise SettingsError(f"{name} holds no token")
    return tokens
