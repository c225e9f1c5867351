"""One decision of an operator as it stands on the raw topic."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from aftersend.sources.parsing.times import Seconds

#: As long as a name or a reason may be, characters.
MAX_WORDS: Final = 250
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORDS)]


class OperationRecord(msgspec.Struct, gc=False, omit_defaults=True):
    """One decision about one address. What is none of these is an error: an operator means what he writes."""

    event: Literal["release"]
    recipient: str
    #: When the operator looked, seconds since 1970 or RFC 3339: only what was quarantined by then is released.
    time: Seconds | str
    #: Who decided it, and why.
    by: _Words
    why: _Words
    #: The operator's own id of the decision; without one it is made of the other fields.
    id: str | None = None
    #: The same for all addresses that were released in one go.
    batch: str | None = None
