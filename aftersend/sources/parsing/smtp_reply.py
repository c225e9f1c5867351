"""What the text of an SMTP reply says: its code (RFC 5321) and its enhanced status code (RFC 3463)."""

from __future__ import annotations

import re
from typing import Final

from aftersend.sources.parsing.bounce_classes import Status

#: `550 5.1.1 No such user`, also as `smtp; 550-5.1.1 …` (a report's Diagnostic-Code, RFC 3464).
_REPLY: Final = re.compile(
    r"\s*(?:smtp\s*;\s*)?(?:([245][0-9]{2})(?![0-9])[\s-]*)?#?(?:([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.]))?",
    re.IGNORECASE,
)
_STATUS: Final = re.compile(r"\s*([245])\.([0-9]{1,3})\.([0-9]{1,3})\s*", re.ASCII)
_CODE: Final = re.compile(r"\s*([245][0-9]{2})\s*", re.ASCII)


def read_reply(text: str, status: str = "") -> tuple[int, Status | None]:
    """Return the reply code, 0 if there is none, and the enhanced code, None if there is none.

    Args:
        text: of the reply.
        status: the enhanced code, where the source has a field of its own for it; some put the reply code there.
    """
    found = _REPLY.match(text)
    code, kind, subject, detail = found.groups() if found else (None, None, None, None)
    enhanced = _STATUS.fullmatch(status)
    if enhanced:
        kind, subject, detail = enhanced.groups()
    elif code is None and (plain := _CODE.fullmatch(status)):
        code = plain[1]
    return int(code) if code else 0, _status(kind, subject, detail)


def _status(kind: str | None, subject: str | None, detail: str | None) -> Status | None:
    return Status(int(kind), int(subject), int(detail)) if kind and subject and detail else None


def spell(status: Status | None) -> str:
    """Return an enhanced code as text; "" for none and for a success's, which says nothing that the type does not."""
    if status is None or status.kind == 2:  # noqa: PLR2004 - 2.y.z: success
        return ""
    return f"{status.kind}.{status.subject}.{status.detail}"
