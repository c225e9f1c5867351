"""What is easily missed in `docs/domain.md §2` and `docs/domain.md §3` (why: `docs/decisions/0001-rows-and-events.md`).

Each as small as it gets, through the whole of folding and publishing, and the reference sees it the same way.
"""

from typing import Any

from aftersend.schemas.event import Feedback
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
    assert [] == partition.differences()
    return partition


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


def test_a_late_event_finds_the_wait_ended_that_was_over() -> None:
    row = folded(event("1", "sent"), event("2", "opened", LATE)).row("d", "r@example.org")
    assert ("unknown", {"kind": "expired"}) == (row["status"], row["cause"])


def test_a_late_bounce_after_a_delivery_says_so_on_the_card() -> None:
    (notice,) = folded(event("1", "delivered"), event("2", "hard_bounce", LATE)).contact("r@example.org")["notices"]
    assert notice["delivered"]


def test_late_events_do_not_change_what_a_version_says() -> None:
    late = [event(f"late {i}", "opened", LATE + i) for i in range(40)]
    row = folded(event("1", "delivered"), *late).row("d", "r@example.org")
    assert ("1", "delivered") == (row["cause"]["event_id"], row["cause"]["kind"])


def test_the_last_32_events_are_known_again_after_an_expiry() -> None:
    opens = [event(f"open {i}", "opened", 3 * DAY + i) for i in range(31)]
    partition = folded(event("1", "sent"), *opens, event("1", "sent", 3 * DAY + 60))
    assert 1 == partition.kpis("d")["kpis"]["duplicate"]


def test_a_row_that_is_forgotten_has_been_expired_before() -> None:
    partition = folded(event("1", "sent"), tick(START + 121 * DAY), splits=(1,))
    assert {"unknown": 1} == partition.kpis("d")["statuses"]


def test_a_row_that_is_forgotten_in_the_batch_that_made_it_has_been_expired_before() -> None:
    first = event("0", "delivered", recipient="first@example.org")
    partition = folded(first, event("1", "sent", 5), tick(START + 121 * DAY), splits=(1,))
    assert {"delivered": 1, "unknown": 1} == partition.kpis("d")["statuses"]
    assert {} == partition.values(partition.settings.topics.status)


def test_what_is_read_when_the_rows_are_forgotten_makes_no_new_ones() -> None:
    partition = folded(event("1", "sent"), tick(START + 121 * DAY), event("2", "delivered", 60), splits=(1, 2))
    counted = partition.kpis("d")["kpis"]
    assert (1, 0, 1) == (counted["audience"], counted["delivered"], counted["late"])
    assert {} == partition.values(partition.settings.topics.status)


def test_the_published_events_do_not_depend_on_how_batches_are_cut() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("2", "opened", 3 * DAY)
    assert folded(*history, splits=(1, 2)).kpis("d")["events"] == folded(*history, splits=(1,)).kpis("d")["events"]


def test_an_unattributed_event_is_never_late() -> None:
    partition = folded(event("1", "opened", delivery_id=""), event("2", "opened", 40 * DAY, delivery_id=""))
    assert {"unattributed": 2, "late": 0} == {n: partition.kpis("")["kpis"][n] for n in ("unattributed", "late")}


def test_old_rows_without_delivery_are_forgotten_whether_a_sweep_has_come_by_or_not() -> None:
    history = (
        event("1", "opened", delivery_id=""),
        tick(START + 121 * DAY),
        event("1", "opened", 121 * DAY, delivery_id=""),
    )
    for splits in ((), (1,), (2,), (1, 2)):
        assert 2 == folded(*history, splits=splits).kpis("")["kpis"]["unattributed"]


def test_rows_without_delivery_that_are_heard_of_are_kept() -> None:
    history = [event(str(i), "opened", i * 100 * DAY, delivery_id="") for i in range(3)]
    assert 3 == folded(*history, tick(START + 250 * DAY), splits=(3,)).row("", "r@example.org")["version"]


def test_an_unattributed_event_is_in_no_kpi_but_its_own() -> None:
    counted = folded(event("1", "hard_bounce", recipient="")).kpis("d")["kpis"]
    assert {"unattributed": 1} == {name: count for name, count in counted.items() if count}


def test_a_scanner_that_follows_the_unsubscribe_link_is_no_human() -> None:
    partition = folded(event("1", "clicked", machine=True, unsubscribe_link=True))
    assert "opened_machine" == partition.row("d", "r@example.org")["status"]


def test_whoever_follows_the_unsubscribe_link_has_opened() -> None:
    partition = folded(event("1", "clicked", unsubscribe_link=True))
    assert ("opened", 1) == (partition.row("d", "r@example.org")["status"], partition.kpis("d")["kpis"]["unique_opens"])


def test_an_unsubscribe_is_an_open_unless_by_the_one_click_header() -> None:
    opens = [folded(event("1", "unsubscribed", one_click=o)).kpis("d")["kpis"]["unique_opens"] for o in (False, True)]
    assert [1, 0] == opens


def test_what_nobody_understands_ends_a_wait_but_undoes_no_delivery() -> None:
    rows = [folded(event("1", kind), event("2", "unknown", 1)).row("d", "r@example.org") for kind in ("sent", "opened")]
    assert ["unknown", "opened"] == [row["status"] for row in rows]


def test_an_event_of_an_unknown_name_is_counted_by_its_decision_only() -> None:
    partition = folded(event("1", "delivered"), event("2", "opened_machine", 1), event("3", "unknown", 2, detail="x"))
    assert "delivered" == partition.row("d", "r@example.org")["status"]
    assert (1, 2) == (partition.kpis("d")["kpis"]["audience"], partition.kpis("d")["kpis"]["lower_priority"])
    assert {} == folded(event("1", "unknown", detail="x")).kpis("d")["statuses"]


def test_after_the_freeze_statuses_no_longer_change() -> None:
    first = event("0", "delivered", recipient="first@example.org")
    partition = folded(first, event("1", "sent", 29 * DAY), tick(START + 32 * DAY), splits=(2,))
    assert "sent" == partition.row("d", "r@example.org")["status"]


def test_what_arrived_before_the_freeze_finds_no_wait_ended_that_was_due_after_it() -> None:
    first = event("0", "delivered", recipient="first@example.org")
    history = event("1", "sent", 29 * DAY), tick(START + 32 * DAY), event("2", "autoresponded", 29.5 * DAY)
    row = folded(first, *history, splits=(2,)).row("d", "r@example.org")
    assert ("sent", 2) == (row["status"], row["version"])


def test_a_soft_bounce_that_succeeds_after_two_days_is_delivered() -> None:
    history = event("1", "soft_bounce"), event("2", "delivered", 3 * DAY)
    assert "delivered" == folded(*history).row("d", "r@example.org")["status"]


def test_the_extra_copy_of_an_address_does_not_end_the_first_one() -> None:
    extra = event("2", "not_sent", 1, reason="duplicate_address")
    partition = folded(event("1", "sent"), extra, event("3", "delivered", 2))
    row, counted = partition.row("d", "r@example.org"), partition.kpis("d")["kpis"]
    assert ("delivered", False) == (row["status"], "failure" in row)
    assert (1, 0, 1) == (counted["duplicate_address"], counted["not_sent"], counted["delivered"])


def test_the_window_is_the_providers() -> None:
    history = event("1", "sent", source="sendgrid"), event("2", "autoresponded", 5, source="tracking")
    partition = folded(*history, tick(START + 49 * HOUR), splits=(2,))
    assert "sent" == partition.row("d", "r@example.org")["status"]


def test_test_messages_are_never_in_the_kpis() -> None:
    counted = folded(event("1", "sent", test=True), event("2", "opened", 1)).kpis("d")["kpis"]
    assert {"test": 2} == {name: count for name, count in counted.items() if count}


def test_what_was_counted_before_a_row_turned_out_to_be_a_test_stays_in_the_totals() -> None:
    counted = folded(event("1", "opened"), event("2", "sent", 1, test=True)).kpis("d")["kpis"]
    assert (0, 0, 1) == (counted["audience"], counted["unique_opens"], counted["total_opens"])


def test_test_rows_expire_too() -> None:
    partition = folded(event("1", "sent", test=True), tick(START + 3 * DAY), splits=(1,))
    assert "unknown" == partition.row("d", "r@example.org")["status"]


def test_the_cause_of_an_expiry_names_no_place() -> None:
    partition = folded(event("1", "sent"), tick(START + 3 * DAY), splits=(1,))
    assert {"kind": "expired"} == partition.row("d", "r@example.org")["cause"]


def test_one_wrong_timestamp_does_not_freeze_a_delivery() -> None:
    wrong = Feedback("2", "d", "r@example.org", "opened", source="kumomta", received_at=START / 1000)
    assert 0 == folded(event("1", "sent"), wrong, event("3", "delivered", 1)).kpis("d")["kpis"]["late"]


def test_a_delivery_starts_with_its_first_event_in_the_order_of_arrival() -> None:
    partition = folded(event("1", "sent", 60), event("2", "delivered"))
    assert START == partition.kpis("d")["started_at"]


def test_what_arrived_in_time_is_in_time() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("2", "delivered", 60)
    for splits in ((), (1,), (2,), (1, 2)):
        partition = folded(*history, splits=splits)
        row = partition.row("d", "r@example.org")
        assert ("delivered", "sent", 3) == (row["status"], row["previous"], row["version"])
        assert (0, 1) == (partition.kpis("d")["kpis"]["expired"], partition.kpis("d")["kpis"]["delivered"])


def test_what_arrived_in_time_and_is_no_outcome_leaves_the_wait_to_end_again() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("2", "autoresponded", 60), tick(START + 4 * DAY)
    row = folded(*history, splits=(1, 2, 3)).row("d", "r@example.org")
    assert ("unknown", START, START + 2 * DAY) == (row["status"], row["pending_since"], row["updated_at"])


def test_the_same_version_says_the_same_after_a_duplicate_that_arrived_in_time() -> None:
    history = event("1", "sent"), tick(START + 3 * DAY), event("1", "sent", 60)
    before, after = folded(*history[:2], splits=(1,)), folded(*history, splits=(1, 2))
    assert before.row("d", "r@example.org") == after.row("d", "r@example.org")


def test_what_is_heard_after_an_expiry_is_not_in_time_by_a_longer_window_of_its_source() -> None:
    history = (
        event("1", "sent"),
        event("2", "autoresponded", 49 * HOUR, source="sendgrid"),
        event("3", "opened", 50 * HOUR),
    )
    assert "unknown" == folded(*history).row("d", "r@example.org")["status"]


def test_an_event_with_an_absurd_place_is_a_dead_letter() -> None:
    partition = Partition()
    partition.fold([event("1", "sent", raw_offset=1 << 60, raw_partition=0), event("2", "delivered", 1)])
    assert 1 == len(partition.shown[partition.settings.topics.dead_letters])
    assert {"delivered": 1} == partition.kpis("d")["statuses"]


def test_a_place_of_a_source_that_nobody_knows_is_none() -> None:
    cause = folded(event("1", "sent", source="?", raw_offset=7, raw_partition=3)).row("d", "r@example.org")["cause"]
    assert {"event_id": "1", "kind": "sent", "topic": "feedback.events"} == cause


def test_an_offset_without_a_partition_is_no_place() -> None:
    cause = folded(event("1", "sent", raw_offset=7)).row("d", "r@example.org")["cause"]
    assert {"event_id": "1", "kind": "sent", "topic": "feedback.events"} == cause
