"""The page of sources, `docs/reference/sources.md`, from the registry and from each source's own page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aftersend.docgen.template import fill, table
from aftersend.rules.recipient.timing import HOUR
from aftersend.schemas.event import EVENT_TYPES
from aftersend.sources.base import Source
from aftersend.sources.registry import REGISTRY
from aftersend.sources.webhook import MAX_FUTURE_SECONDS, Webhook

_ROOT: Final = Path(__file__).parents[2]


def render() -> str:
    """Return the page."""
    sources = sorted(REGISTRY.values(), key=lambda source: source.name)
    return fill(
        "sources",
        {
            "overview": table(
                ("source", "what it is", "raw topic", "over HTTP, `/webhooks/<source>`", "outcome expected within"),
                (
                    (
                        f"[`{source.name}`](#{source.name})",
                        source.title,
                        f"`<prefix>.raw.{source.name}`",
                        "by its signature" if _is_signed(source) else "by a shared secret",
                        _window(source),
                    )
                    for source in sources
                ),
            ),
            "sources": "\n\n".join(map(_section, sources)),
        },
    )


def page_of(source: Source) -> Path:
    """Return the source's own page: the `README.md` in its folder."""
    module = sys.modules[source.parser.__module__]
    return Path(str(module.__file__)).parent / "README.md"


def _window(source: Source) -> str:
    seconds = source.response_window_seconds
    return "`response_window_hours`" if seconds is None else f"{seconds / HOUR:g} hours"


def _is_signed(source: Source) -> bool:
    return source.webhook is not None and not source.webhook.by_credentials


def _section(source: Source) -> str:
    page = page_of(source)
    named = set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))
    types = ", ".join(f"`{name}`" for name in EVENT_TYPES if name in named)
    facts = [("own page", f"[{page.parent.relative_to(_ROOT).as_posix()}]({_link(page)})")]
    facts += [("number", str(source.number)), ("event types on its page", types)]
    webhook = source.webhook
    if not _is_signed(source):
        facts.append(("secret", "any text of 16 characters or more, in the `Authorization` header or the path"))
    if source.token_suffices:
        facts.append(("token in the path", "enough, unless `gateway_token_sources` says otherwise"))
    if webhook is not None:
        facts += _of_webhook(webhook)
    return f"## {source.name}\n\n{source.title[:1].upper()}{source.title[1:]}.\n\n{table(('property', 'value'), facts)}"


def _of_webhook(webhook: Webhook) -> list[tuple[str, str]]:
    facts = [] if webhook.by_credentials else [("secret", webhook.secrets_help)]
    facts += [
        ("media types", ", ".join(f"`{name}`" for name in sorted(webhook.content_types)) or "any"),
        ("longest body", f"{webhook.max_bytes:,} bytes"),
        ("provider waits for an answer", f"{webhook.answer_within:g} s"),
    ]
    if webhook.tolerance:
        future = min(webhook.tolerance, MAX_FUTURE_SECONDS)
        ages = f"at most {webhook.tolerance:,.0f} s, and {future:,.0f} s in the future"
        facts.append(("age of a signed timestamp", ages))
    if webhook.final_statuses:
        facts.append(("not sent again after", f"a status of {_ranges(webhook.final_statuses)}"))
    return facts


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers in words: those that follow one another as a range."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _link(page: Path) -> str:
    """Return the path of a page as seen from `docs/reference`."""
    return f"../../{page.relative_to(_ROOT).as_posix()}"
