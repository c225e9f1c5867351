"""Names that are too long for their column, shortened so that they stay apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from aftersend.printable import printable

_CUT: Final = "…"


def apart(names: Iterable[str], width: int) -> dict[str, str]:
    """Return each name in as many characters as there are, different names differently.

    The end is cut off first. Names that this would make equal lose their middle, since ids of one kind begin alike;
    where that does not tell them apart either, they are numbered.

    Args:
        names: all that are shown together.
        width: characters; at least 1.
    """
    full = {name: printable(name) for name in names}
    shown = {name: _without_end(text, width) for name, text in full.items()}
    for shorten in (_without_middle, _without_start):
        for name in _alike(shown):
            shown[name] = shorten(full[name], width)
    for number, name in enumerate(_alike(shown), 1):
        mark = f"{_CUT}{number}"
        shown[name] = f"{full[name][: max(0, width - len(mark))]}{mark}"
    return shown


def _alike(shown: dict[str, str]) -> list[str]:
    """Return the names that are not told apart."""
    times = Counter(shown.values())
    return [name for name, text in shown.items() if times[text] > 1]


def _without_end(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + _CUT


def _without_middle(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return text[: width - 1 - end] + _CUT + (text[-end:] if end else "")


def _without_start(text: str, width: int) -> str:
    return text if len(text) <= width or width < 2 else _CUT + text[1 - width :]  # noqa: PLR2004 - the mark and a letter
