"""KumoMTA's log record as msgspec reads it: the fields that events are made of; all others are skipped."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec

from aftersend.sources.parsing.arf import Report
from aftersend.sources.parsing.bounce_classes import Status
from aftersend.sources.parsing.times import Moment, Seconds

#: How metadata and headers are decoded, which is an installation's choice.
M = TypeVar("M")
H = TypeVar("H")

_Code = Annotated[int, msgspec.Meta(ge=0, le=9999)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**32)]


class Response(msgspec.Struct, gc=False):
    """What the other side answered."""

    code: _Code = 0
    content: str = ""
    enhanced_code: Status | None = None


class LogRecord(msgspec.Struct, Generic[M, H], gc=False):
    """One record of the log. Which fields there are depends on its type and on KumoMTA's version."""

    type: str
    id: str = ""
    #: The return path.
    sender: str | None = None
    #: A list since 2025.12.02, for a message to several recipients.
    recipient: str | list[str] | None = None
    #: `campaign:tenant@domain!routing_domain`, of which only the domain is always there.
    queue: str | None = None
    response: Response | None = None
    timestamp: Seconds | None = None
    #: Since 2025.10.06: the same moment as `timestamp`, in nanoseconds.
    event_time: Moment | None = None
    num_attempts: _Count | None = None
    #: One of the classifier's classes or of the sender's own.
    bounce_classification: str | None = None
    feedback_report: Report | None = None
    meta: M | None = None
    headers: H | None = None
    reception_protocol: str | None = None
    nodeid: str | None = None
    session_id: str | None = None


class SkippedHeaders(msgspec.Struct, gc=False):
    """Headers that nobody asks for."""
