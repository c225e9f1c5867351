"""Operators' decisions."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.own.operations.parser import NAME, parser

__all__ = ["NAME", "SOURCE"]


SOURCE: Final = Source(
    name=NAME, number=5, title="operators' decisions, such as releases from quarantine", parser=parser
)
