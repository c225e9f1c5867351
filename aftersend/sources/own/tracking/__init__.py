"""The sender's own tracker of opens and clicks, unsubscribe page and tools."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.own.tracking.parser import NAME, parser

__all__ = ["NAME", "SOURCE"]


SOURCE: Final = Source(
    name=NAME,
    number=4,
    title="the sender's own tracker and tools",
    parser=parser,
    token_suffices=True,
    simulator=f"{__name__}.simulator",
)
