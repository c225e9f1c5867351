"""Lua scripts that Redis runs, loaded from the files beside this module."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

#: Answers of `REPLACE_PART`: the stored part is newer; the hash was lost since the last write; the hash would expire at
#: once.
FENCED: Final = 0
LOST: Final = -1
EXPIRED: Final = -2


def _load(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


#: Replaces one partition's part of a delivery's hash.
REPLACE_PART: Final = _load("replace_part.lua")
#: Confirms a flush, partition by partition.
CONFIRM: Final = _load("confirm.lua")
