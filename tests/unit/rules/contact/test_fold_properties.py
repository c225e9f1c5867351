"""What must hold of a contact after any history."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aftersend.rules.contact.quarantine import ADDRESS_STATUSES, address_status
from aftersend.rules.contact.suppression import check
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import MESSAGE_TYPES, Feedback
from aftersend.tables.codec.public import decode_contact
from tests.unit.folding_in_memory import DAY, HOUR, START, Partition

TYPES = (
    *("soft_bounce", "soft_bounce", "hard_bounce", "invalid_address", "delivered", "deferred", "sent"),
    *("complained", "unsubscribed", "resubscribed", "released", "not_sent"),
)
ADDRESS = "r@example.org"
WORSE = {name: number for number, name in enumerate(ADDRESS_STATUSES)}

steps = st.sampled_from([0.0, 23 * HOUR, DAY, 3 * DAY, 11 * DAY])
one_event: st.SearchStrategy[dict[str, object]] = st.builds(
    dict,
    type=st.sampled_from(TYPES),
    step=steps,
    delivery_id=st.sampled_from(["d1", "d2", ""]),
    reason=st.sampled_from(["", "InvalidRecipient", "QuotaIssues", "RecipientBlocked"]),
    message_type=st.sampled_from(["", *MESSAGE_TYPES]),
    test=st.sampled_from([False] * 9 + [True]),
    again=st.integers(0, 5),
)


def history(drawn: Sequence[dict[str, object]]) -> list[Feedback]:
    """Return events in the order of their arrival, some of them delivered twice."""
    now, made = START, list[Feedback]()
    for number, fields in enumerate(drawn):
        fields = dict(fields)  # noqa: PLW2901 - not to be changed for a second run
        now += fields.pop("step")  # type: ignore[operator]
        if not fields.pop("again") and made:
            made.append(replace(made[-1], received_at=now))
        else:
            made.append(Feedback(f"e{number}", recipient=ADDRESS, source="kumomta", received_at=now, **fields))  # type: ignore[arg-type]
    return made


histories = st.lists(one_event, min_size=1, max_size=40).map(history)
policies = st.sampled_from(["five-in-a-row", "at-once"])


def contact_of(partition: Partition) -> Contact | None:
    value = partition.values(partition.settings.topics.contacts).get(ADDRESS)
    return None if value is None else decode_contact(value)


def each(events: list[Feedback]) -> list[Contact | None]:
    """Return the contact before and after each event."""
    partition, seen = Partition(), list[Contact | None]([None])
    for one in partition.write(events):
        partition.take([one])
        seen.append(contact_of(partition))
    return seen


@given(histories, st.sets(st.integers(1, 40), max_size=6), st.sets(st.integers(0, 6), max_size=3), policies)
def test_any_batches_and_restarts_give_the_same_contact(
    events: list[Feedback], splits: set[int], restarts: set[int], policy: str
) -> None:
    """The same as in one batch, and the same as the reference makes of it."""
    whole = Partition(address_validity=policy)
    whole.fold(events)
    parts = Partition(address_validity=policy)
    records = parts.write(events)
    bounds = sorted({0, len(records), *(split for split in splits if split < len(records))})
    for number, (start, end) in enumerate(pairwise(bounds)):
        parts.take(records[start:end])
        if number in restarts:
            parts.restart()

    assert whole.contact(ADDRESS) == parts.contact(ADDRESS)
    assert [] == parts.differences()


@given(histories)
def test_a_complaint_is_never_forgotten(events: list[Feedback]) -> None:
    complained = False
    for contact in each(events):
        complained = complained or (contact is not None and contact.cause == "complained")
        if complained:
            assert contact is not None
            assert ("denylisted", True) == (address_status(contact, START + 10_000 * DAY).state, contact.do_not_email)
            assert "complained" == check(contact).reason


@given(histories)
def test_only_a_release_ends_a_quarantine(events: list[Feedback]) -> None:
    for (before, after), event in zip(pairwise(each(events)), events, strict=True):
        if before is not None and before.quarantined_at is not None and event.type != "released":
            assert after is not None
            assert (before.quarantined_at, before.error) == (after.quarantined_at, after.error)


@given(histories)
def test_only_good_news_improves_a_standing(events: list[Feedback]) -> None:
    """At the very moment of an event; time alone heals errors too."""
    for (before, after), event in zip(pairwise(each(events)), events, strict=True):
        if event.type not in {"delivered", "released"}:
            now = event.received_at
            assert WORSE[address_status(before, now).state] <= WORSE[address_status(after, now).state]


@given(histories)
def test_do_not_email_has_a_cause_and_the_check_knows_it(events: list[Feedback]) -> None:
    for contact in each(events):
        if contact is not None:
            assert contact.do_not_email == bool(contact.cause)
            assert (contact.cause == "unsubscribed") <= (contact.unsubscription is not None)
            assert contact.do_not_email <= (not check(contact).may_be_mailed)


@given(histories)
def test_a_version_is_a_change(events: list[Feedback]) -> None:
    for before, after in pairwise(each(events)):
        if before != after:
            assert after is not None
            assert after.version == (before.version if before else 0) + 1


@given(histories, st.integers(0, 40), st.integers(0, 40))
def test_a_standing_only_heals_with_time(events: list[Feedback], days: int, more: int) -> None:
    contact = each(events)[-1]
    now = events[-1].received_at + days * DAY
    assert WORSE[address_status(contact, now + more * DAY).state] <= WORSE[address_status(contact, now).state]
