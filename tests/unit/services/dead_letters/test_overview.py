from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.overview import DeadLetterOverview
from aftersend.services.dead_letters.records import DeadLetter


def letter(at: int = 1000, offset: int = 5, error: str = "SourceError") -> DeadLetter:
    position, origin = RecordPosition("letters", 0, offset), RecordPosition("raw", 1, 2)
    return DeadLetter(position, at, b"k", b"{}", [], origin, error, "why", "1.0")


def test_the_latest_are_kept_and_all_are_counted() -> None:
    overview = DeadLetterOverview(2)
    for at in (3000, 1000, 5000, 2000):
        overview.add(letter(at, offset=at, error="A" if at < 3000 else "B"))

    assert [5000, 3000] == [one.timestamp for one in overview.latest()]
    assert {("raw", "A"): 2, ("raw", "B"): 2} == overview.counts
    assert 4 == overview.total


def test_a_limit_of_0_keeps_none() -> None:
    overview = DeadLetterOverview(0)
    overview.add(letter())

    assert ([], 1) == (overview.latest(), overview.total)
