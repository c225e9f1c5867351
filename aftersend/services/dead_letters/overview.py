"""Overview of dead letters: the latest ones, and their numbers by topic and error."""

from __future__ import annotations

import heapq
from collections import Counter

import msgspec

from aftersend.config.settings import Settings
from aftersend.services.dead_letters.reader import DeadLetterReader
from aftersend.services.dead_letters.records import DeadLetter, DeadLetterFilter


class DeadLetterOverview:
    """Counts dead letters, and keeps the latest without their values.

    Args:
        limit: number of letters to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._latest: list[tuple[int, str, int, DeadLetter]] = []
        #: Letters by topic of the unreadable record and class of the error.
        self.counts: Counter[tuple[str, str]] = Counter()
        #: Letters that come from a replay.
        self.replayed = 0

    def add(self, letter: DeadLetter) -> None:
        """Add a letter."""
        self.counts[letter.origin.topic, letter.error] += 1
        self.replayed += bool(letter.replayed)
        kept = letter if letter.value is None else msgspec.structs.replace(letter, value=letter.value[:0])
        entry = (letter.timestamp, str(letter.position), letter.position.offset, kept)
        if len(self._latest) < self._limit:
            heapq.heappush(self._latest, entry)
        elif self._limit:
            heapq.heappushpop(self._latest, entry)

    @property
    def total(self) -> int:
        """Number of letters."""
        return self.counts.total()

    def latest(self) -> list[DeadLetter]:
        """Return the latest letters in descending order."""
        return [entry[-1] for entry in sorted(self._latest, reverse=True)]


async def read_overview(settings: Settings, selection: DeadLetterFilter, limit: int) -> DeadLetterOverview:
    """Return an overview of the selected dead letters.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    overview = DeadLetterOverview(limit)
    async with DeadLetterReader(settings) as reader:
        async for letter in reader.read(selection):
            overview.add(letter)
    return overview
