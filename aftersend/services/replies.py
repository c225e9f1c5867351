"""The reply of a receiving server as one text: codes and diagnostic text, each said once."""

from __future__ import annotations

import re
from typing import Final

#: The codes with which a diagnostic text may begin: `550 5.1.1 …`, `550-5.1.1 …`, `smtp; 550 …`, `5.1.1 …`.
_CODES: Final = re.compile(
    r"(?:smtp;\s*)?(?:(\d{3})(?:[ -]+|$))?(?:#?(\d\.\d{1,3}\.\d{1,3})(?![\d.]):?\s*)?", re.IGNORECASE
)


def reply_text(code: int, enhanced_code: str, diagnostic: str) -> str:
    """Return an SMTP reply as text, without the codes that the diagnostic text repeats.

    Args:
        code: SMTP reply code; 0: unknown.
        enhanced_code: enhanced status code (RFC 3463); "": unknown.
        diagnostic: of the receiving server.
    """
    codes = (str(code or ""), enhanced_code)
    said = _CODES.match(diagnostic)
    if said is not None and any(said.groups()):
        its_own = said.groups("")
        if all(not one or one == known for one, known in zip(its_own, codes, strict=True)):
            diagnostic = diagnostic[said.end() :]
    return " ".join(filter(None, (*codes, diagnostic)))
