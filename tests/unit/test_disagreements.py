"""Where the engine did or does something else than `semantics.md` says, each as small as it gets.

A test with a mark is expected to fail; when it passes, the engine is mended, and the mark has to go.
"""

from typing import Any

import pytest

from schemas.feedback import Feedback
from tests.unit.folding_in_memory import DAY, HOUR, START, Partition, tick

LATE = 31 * DAY


def event(event_id: str, kind: str, at: float = 0.0, **fields: Any) -> Feedback:
    """Return an event that arrives so many seconds after the start."""
    made = {"delivery_id": "d", "recipient": "r@example.org", "source": "kumomta"}
    return Feedback(event_id=event_id, type=kind, received_at=START + at, **(made | fields))


def folded(*history: Feedback, splits: tuple[int, ...] = ()) -> Partition:
    """Return a partition that has folded these."""
    partition = Partition()
    partition.fold(history, splits)
    return partition


def disagreement(why: str) -> pytest.MarkDecorator:
    """Mark a test that the engine does not pass yet."""
    return pytest.mark.xfail(strict=True, reason=why)


def test_a_success_resets_failures_of_the_same_batch() -> None:
    history = event("1", "soft_bounce", delivery_id="d1"), event("2", "delivered", 1, delivery_id="d2")
    assert folded(*history, splits=(1,)).contact("r@example.org") == folded(*history).contact("r@example.org")


def test_a_resubscription_counts_in_the_batch_of_the_unsubscription() -> None:
    history = event("1", "unsubscribed", delivery_id="d1"), event("2", "resubscribed", 1, delivery_id="d2")
    assert "do_not_email" not in folded(*history).contact("r@example.org")


def test_a_success_resets_failures_of_the_same_row_and_batch() -> None:
    history = event("1", "soft_bounce"), tick(START + 1), event("2", "delivered", 2)
    assert "failures" not in folded(*history).contact("r@example.org")


def test_a_late_duplicate_counts_once_against_the_contact() -> None:
    partition = folded(event("1", "sent"), event("2", "hard_bounce", LATE), event("2", "hard_bounce", LATE + 5))
    assert (1, 1) == (partition.contact("r@example.org")["failures"], partition.contact("r@example.org")["version"])


def test_a_late_complaint_about_a_test_message_is_not_held_against_the_contact() -> None:
    assert {} == folded(event("1", "sent", test=True), event("2", "complained", LATE)).contact("r@example.org")


def test_a_late_bounce_after_a_delivery_says_so_on_the_card() -> None:
    (notice,) = folded(event("1", "delivered"), event("2", "hard_bounce", LATE)).contact("r@example.org")["notices"]
    assert notice["delivered"]


def test_late_events_do_not_change_what_a_version_says() -> None:
    late = [event(f"late {i}", "opened", LATE + i) for i in range(32)]
    row = folded(event("1", "delivered"), *late).row("d", "r@example.org")
    assert ("1", "delivered") == (row["cause"]["event_id"], row["cause"]["kind"])


def test_the_last_32_events_are_known_again_after_an_expiry() -> None:
    opens = [event(f"open {i}", "opened", 3 * DAY + i) for i in range(31)]
    partition = folded(event("1", "sent"), *opens, event("1", "sent", 3 * DAY + 60))
    assert 1 == partition.kpis("d")["kpis"]["duplicate"]


def test_a_row_that_is_forgotten_has_been_expired_before() -> None:
    partition = folded(event("1", "sent"), tick(START + 121 * DAY), splits=(1,))
    assert {"unknown": 1} == partition.kpis("d")["statuses"]


def test_the_published_events_do_not_depend_on_how_batches_are_cut() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("2", "opened", 3 * DAY)
    assert folded(*history, splits=(1, 2)).kpis("d")["events"] == folded(*history, splits=(1,)).kpis("d")["events"]


def test_an_unattributed_event_is_never_late() -> None:
    partition = folded(event("1", "opened", delivery_id=""), event("2", "opened", 40 * DAY, delivery_id=""))
    assert {"unattributed": 2, "late": 0} == {n: partition.kpis("")["kpis"][n] for n in ("unattributed", "late")}


def test_an_unattributed_event_is_in_no_kpi_but_its_own() -> None:
    counted = folded(event("1", "hard_bounce", recipient="")).kpis("d")["kpis"]
    assert {"unattributed": 1} == {name: count for name, count in counted.items() if count}


def test_a_scanner_that_follows_the_unsubscribe_link_is_no_human() -> None:
    partition = folded(event("1", "clicked", machine=True, unsubscribe_link=True))
    assert "opened_machine" == partition.row("d", "r@example.org")["status"]


def test_whoever_follows_the_unsubscribe_link_has_opened() -> None:
    partition = folded(event("1", "clicked", unsubscribe_link=True))
    assert ("opened", 1) == (partition.row("d", "r@example.org")["status"], partition.kpis("d")["kpis"]["unique_opens"])


def test_a_type_that_is_none_is_unknown() -> None:
    assert "unknown" == folded(event("1", "opened_machine")).row("d", "r@example.org")["status"]


def test_after_the_freeze_statuses_no_longer_change() -> None:
    first = event("0", "delivered", recipient="first@example.org")
    partition = folded(first, event("1", "sent", 29 * DAY), tick(START + 32 * DAY), splits=(2,))
    assert "sent" == partition.row("d", "r@example.org")["status"]


def test_a_soft_bounce_that_succeeds_after_two_days_is_delivered() -> None:
    history = event("1", "soft_bounce"), event("2", "delivered", 3 * DAY)
    assert "delivered" == folded(*history).row("d", "r@example.org")["status"]


def test_the_extra_copy_of_an_address_does_not_end_the_first_one() -> None:
    extra = event("2", "not_sent", 1, reason="duplicate_address")
    partition = folded(event("1", "sent"), extra, event("3", "delivered", 2))
    assert "delivered" == partition.row("d", "r@example.org")["status"]


def test_the_window_is_the_providers() -> None:
    history = event("1", "sent", source="sendgrid"), event("2", "autoresponded", 5, source="tracking")
    partition = folded(*history, tick(START + 49 * HOUR), splits=(2,))
    assert "sent" == partition.row("d", "r@example.org")["status"]


def test_test_messages_are_never_in_the_kpis() -> None:
    counted = folded(event("1", "opened"), event("2", "sent", 1, test=True)).kpis("d")["kpis"]
    assert (0, 0) == (counted["audience"], counted["total_opens"])


def test_test_rows_expire_too() -> None:
    partition = folded(event("1", "sent", test=True), tick(START + 3 * DAY), splits=(1,))
    assert "unknown" == partition.row("d", "r@example.org")["status"]


def test_the_cause_of_an_expiry_names_no_place() -> None:
    partition = folded(event("1", "sent"), tick(START + 3 * DAY), splits=(1,))
    assert {"kind": "expired"} == partition.row("d", "r@example.org")["cause"]


def test_one_wrong_timestamp_does_not_freeze_a_delivery() -> None:
    wrong = Feedback("2", "d", "r@example.org", "opened", source="kumomta", received_at=START / 1000)
    assert 0 == folded(event("1", "sent"), wrong, event("3", "delivered", 1)).kpis("d")["kpis"]["late"]


def test_what_arrived_in_time_is_in_time() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("2", "delivered", 60)
    assert "delivered" == folded(*history).row("d", "r@example.org")["status"]


def test_an_event_with_an_absurd_place_is_a_dead_letter() -> None:
    folded(event("1", "sent", raw_offset=1 << 60, raw_partition=0))
