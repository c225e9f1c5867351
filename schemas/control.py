"""Commands of operators to running workers: the value of the control topic."""

from __future__ import annotations

import msgspec


class ResumeCommand(msgspec.Struct, omit_defaults=True, frozen=True):
    """Parse a paused topic's records again, or those of one tenant; every worker obeys it once.

    A worker obeys only what is written while it runs: a restart forgets pauses anyway.
    """

    topic: str
    #: None: the topic and all its tenants.
    tenant: str | None = None
    #: Who gave the command, and when, seconds since 1970: for the log.
    by: str = ""
    at: float = 0.0


class SkippedRecord(msgspec.Struct, frozen=True):
    """An operator has replaced a damaged record of a changelog: a note for the log of every worker, and for later."""

    changelog: str
    partition: int
    #: Of the damaged record.
    offset: int
    #: Of the damaged record, as text; what is no UTF-8 in it is replaced.
    key: str
    #: Why it could not be read.
    error: str
    #: What was lost with it.
    lost: str
    #: The operator's reason.
    why: str
    #: Who, and when, seconds since 1970.
    by: str
    at: float
