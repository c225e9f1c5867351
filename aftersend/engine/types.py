"""Names of the tuples that rooms pass to one another. They stay plain tuples: keys of dictionaries on the hot path."""

from __future__ import annotations

from typing import TypeAlias

#: A topic and the number of one of its partitions.
Partition: TypeAlias = tuple[str, int]
#: Producer id and epoch of a partition's owner: larger for every later owner.
OwnerEpoch: TypeAlias = tuple[int, int]
