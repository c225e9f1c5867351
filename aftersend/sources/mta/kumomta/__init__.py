"""KumoMTA: the records of its log."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.mta.kumomta.parser import NAME, parser

__all__ = ["NAME", "SOURCE"]


SOURCE: Final = Source(
    name=NAME,
    number=1,
    title="KumoMTA log records",
    parser=parser,
    token_suffices=True,
    simulator=f"{__name__}.simulator",
)
