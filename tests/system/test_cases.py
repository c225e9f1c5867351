"""The 21 cases of `docs/domain.md §9`, from raw records of real sources to rows, KPIs, contacts and every view.

One installation plays them all at once: each case is a delivery of its own, written to the raw topics in stages, with
the arrival of each record as its Kafka timestamp, and ticks on the clock's raw topic where time has to pass. After each
stage everything that the engine shows is read. In the end the reference folds the same events and must agree.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import msgspec
import pytest

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.contact.quarantine import address_status
from aftersend.rules.views import VIEWS
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from aftersend.sandbox.reference.check import CheckReport
from aftersend.sandbox.reference.live_kpis import read_redis
from aftersend.schemas.recipient import RecipientState
from tests.patience import PATIENCE
from tests.system.cases import (
    ADOBE,
    DAY,
    HOUR,
    JANE,
    SPARKPOST_CLASSES,
    STAGES,
    START,
    TAKEN,
    Seen,
    look,
)
from tests.system.chaos.installation import OWN_CLOCK, Input, Installation

# ----------------------------------------------------------------------------------------------------- what is written


RELAYED, FIRST, AFTER_48_HOURS, AFTER_84_HOURS, AFTER_THE_FREEZE = range(len(STAGES))

# -------------------------------------------------------------------------------------------------------- what is shown


@dataclass
class Played:
    """The whole play."""

    stages: list[Seen]
    reference: CheckReport
    redis: dict[str, dict[str, str]]

    def row(self, delivery: str, person: str = JANE, stage: int = -1) -> RecipientState:
        return self.stages[stage].rows[delivery, person]

    def facts(self, delivery: str, person: str = JANE) -> set[str]:
        return set(msgspec.json.decode(self.row(delivery, person).facts))

    def shown(self, delivery: str, stage: int = -1) -> dict[str, str]:
        """Return what each view shows of the only recipient of a delivery."""
        reports = self.stages[stage].reports[delivery]
        for report in reports.values():
            assert 1 == sum(report.statuses.values())
        return {view: next(s for s, n in report.statuses.items() if n) for view, report in reports.items()}

    def count(self, delivery: str, view: str, name: str, stage: int = -1) -> int:
        return self.stages[stage].reports[delivery][view].counts[name]

    def counts(self, delivery: str, view: str, stage: int = -1) -> dict[str, int]:
        """Return a view's counts that are not 0."""
        return {name: n for name, n in self.stages[stage].reports[delivery][view].counts.items() if n}

    def moved(self, delivery: str, view: str, stage: int) -> tuple[int, int]:
        """Return what a stage did to delivered and to bounces + errors."""
        names = ("delivered", "bounces_and_errors")
        after, before = ([self.count(delivery, view, name, s) for name in names] for s in (stage, stage - 1))
        return after[0] - before[0], after[1] - before[1]

    def kpi(self, delivery: str, name: str) -> int:
        """Return a KPI as Redis has it, which must be what the reference says."""
        live = int(self.redis[delivery].get(name, 0))
        assert self.reference.kpis[delivery][name] == live
        return live

    def decided(self, delivery: str) -> dict[str, int]:
        return dict(self.stages[-1].decisions[delivery])


async def play(installation: Installation) -> Played:
    await installation.start(1)
    topics, stages = installation.topics, []
    for records, hours in STAGES:
        await installation.write(
            Input(
                topics.raw(raw.source),
                crc32(raw.person.encode()) % 4,
                None,
                json.dumps(raw.value).encode(),
                int((START + raw.at) * 1000),
            )
            for raw in sorted(records, key=lambda raw: raw.at)
        )
        await installation.await_caught_up()
        if hours is not None:
            await tick(installation, START + hours * HOUR)
        stages.append(await look(installation))
    return Played(stages, await installation.finish(), await read_redis(installation.settings))


async def tick(installation: Installation, now: float) -> None:
    """Write a tick, and wait until every partition has folded it."""
    value = json.dumps({"tick": now}).encode()
    await installation.write([Input(installation.topics.clock, 0, None, value, int(now * 1000))])
    reached: dict[int, float] = {}

    def apply(_topic: str, partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if record.key == b"@clock":
                reached[partition] = msgspec.json.decode(record.value or b"")["tick"]

    deadline = time.monotonic() + PATIENCE
    places = [(installation.topics.kpis, p) for p in range(4)]
    while len(reached) < len(places) or min(reached.values()) < now - 0.001:
        assert time.monotonic() < deadline, f"only {reached} of a tick at {now}"
        await asyncio.sleep(0.2)
        await changelog.read(installation.settings.kafka_options(), dict.fromkeys(places), apply)


@pytest.fixture(scope="module")
def played(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    installation = Installation(
        kafka, redis_server, tmp_path_factory.mktemp("cases"), f"t{uuid.uuid4().hex[:8]}", **OWN_CLOCK
    )
    try:
        yield asyncio.run(play(installation))
    finally:
        installation.close()


pytestmark = pytest.mark.timeout(720)

# ------------------------------------------------------------------------------------------------------------ the cases


def test_case_1_open_click_complaint(played: Played) -> None:
    """Complained, delivered stays counted."""
    row = played.row("case-1")

    assert ("complained", True, 1, 1) == (row.status, row.final, row.opens, row.clicks)
    assert [1, 1, 1, 1] == [
        played.kpi("case-1", k) for k in ("delivered", "complained", "unique_opens", "unique_clicks")
    ]
    assert {1} == {played.count("case-1", view, "delivered") for view in VIEWS}
    shown = played.shown("case-1")
    assert {"Sent"} == {shown[view] for view in ADOBE}
    assert ("Spam complaint", "Marked as spam") == (shown["creatio"], shown["escala"])
    contact = played.stages[FIRST].contacts[JANE]
    assert ("complained", True) == (contact.cause, contact.do_not_email)


def test_case_2_click_alone(played: Played) -> None:
    """One unique open."""
    assert (1, 1, 0) == tuple(played.kpi("case-2", k) for k in ("unique_opens", "unique_clicks", "total_opens"))
    assert {1} == {played.count("case-2", view, "opens") for view in (*ADOBE, "creatio")}
    assert 1 == played.count("case-2", "escala", "opened")


def test_case_3_a_click_on_the_unsubscribe_link_is_not_a_click(played: Played) -> None:
    assert (0, 0, 1) == tuple(
        played.kpi("case-3", k) for k in ("unique_clicks", "total_clicks", "total_unsubscribe_link_clicks")
    )
    assert 0 == played.row("case-3").clicks
    for view in VIEWS:
        assert not played.counts("case-3", view).keys() & {"clicks", "interacted"}


def test_case_4_delivered_after_complained(played: Played) -> None:
    """Ignored as terminal_locked."""
    assert {"applied": 1, "terminal_locked": 1} == played.decided("case-4")
    assert "complained" == played.row("case-4").status
    assert played.shown("case-4", FIRST) == played.shown("case-4")


def test_case_5_soft_bounce_then_success(played: Played) -> None:
    """EFS +1 and then -1 on bounces + errors, and delivered +1; without EFS nothing; v8 only the reason."""
    assert ((0, 1), (1, -1)) == tuple(played.moved("case-5", "efs", stage) for stage in (FIRST, AFTER_48_HOURS))
    for view in ("without-efs", "enhanced-mta"):
        assert ((0, 0), (0, 0)) == tuple(played.moved("case-5", view, stage) for stage in (FIRST, AFTER_48_HOURS))
    assert ((0, 0), (1, 0)) == tuple(played.moved("case-5", "v8", stage) for stage in (FIRST, AFTER_48_HOURS))
    assert (TAKEN, TAKEN) == (played.shown("case-5", RELAYED)["v8"], played.shown("case-5", FIRST)["v8"])
    failure = played.row("case-5", stage=FIRST).failure
    assert failure is not None
    assert (452, "4.2.2", "QuotaIssues") == (failure.code, failure.enhanced_code, failure.reason)
    assert ("Failed", "Sent") == tuple(played.shown("case-5", stage)["efs"] for stage in (FIRST, AFTER_48_HOURS))
    assert ("delivered", 0) == (played.row("case-5").status, played.kpi("case-5", "expired"))


def test_case_6_soft_bounce_then_validity_over(played: Played) -> None:
    """EFS stays Failed; without EFS delivered -1, bounces + errors +1."""
    assert ("Failed", "Failed") == tuple(played.shown("case-6", stage)["efs"] for stage in (FIRST, AFTER_48_HOURS))
    assert (0, 0) == played.moved("case-6", "efs", AFTER_48_HOURS)
    assert ("Sent", "Failed") == tuple(
        played.shown("case-6", stage)["without-efs"] for stage in (FIRST, AFTER_48_HOURS)
    )
    for view in ("without-efs", "enhanced-mta"):
        assert (-1, 1) == played.moved("case-6", view, AFTER_48_HOURS)
    assert ("Failed", (0, 1)) == (played.shown("case-6")["v8"], played.moved("case-6", "v8", AFTER_48_HOURS))
    row = played.row("case-6")
    assert ("soft_bounce", True) == (row.status, row.final)


def test_an_mta_s_own_giving_up_ends_the_wait_at_once(played: Played) -> None:
    """KumoMTA's Expiration: Failed without EFS too, and not only when the window ends."""
    for view in ADOBE:
        assert ("Failed", "Failed") == tuple(played.shown("gave-up", stage)[view] for stage in (FIRST, AFTER_48_HOURS))
    assert ((-1, 1), (0, 0)) == tuple(
        played.moved("gave-up", "without-efs", stage) for stage in (FIRST, AFTER_48_HOURS)
    )


def test_case_7_delivered_and_hard_bounce_on_day_6(played: Played) -> None:
    row = played.row("case-7")

    assert ("hard_bounce", "delivered", START + 6 * DAY) == (row.status, row.previous, row.updated_at)
    assert "bounced_after_delivery" in played.facts("case-7")
    assert (1, 1) == (played.kpi("case-7", "delivered"), played.kpi("case-7", "bounced_after_delivery"))
    assert {"efs": (0, 1), "without-efs": (-1, 1)} == {
        view: played.moved("case-7", view, AFTER_84_HOURS) for view in ("efs", "without-efs")
    }
    assert {"Failed"} == {played.shown("case-7")[view] for view in ADOBE}
    assert (1, 1) == tuple(played.count("case-7", "creatio", name) for name in ("delivered", "hard_bounces"))


@pytest.mark.parametrize("first, status", [("bounce", "hard_bounce"), ("complaint", "complained")])
def test_case_8_two_terminals_in_both_orders(played: Played, first: str, status: str) -> None:
    """The first to arrive wins; the second is a fact."""
    delivery = f"case-8-{first}"

    assert (status, True) == (played.row(delivery).status, played.row(delivery).final)
    assert {"hard_bounced", "complained"} <= played.facts(delivery)
    assert {"applied": 2, "terminal_locked": 1} == played.decided(delivery)
    assert played.shown(delivery, FIRST) == played.shown(delivery)
    assert (1, 1) == tuple(played.count(delivery, "efs", name) for name in ("quarantined", "denylisted"))


def test_case_9_the_same_event_46_times_over_29_hours(played: Played) -> None:
    assert {"applied": 1, "duplicate": 45} == played.decided("case-9")
    assert (1, 1) == (played.kpi("case-9", "total_opens"), played.row("case-9").opens)
    assert {1} == {played.count("case-9", view, "opens") for view in (*ADOBE, "creatio")}


def test_case_10_a_bounce_without_message_id_and_one_without_recipient(played: Played) -> None:
    """The first counts once, however often it is read; the second belongs to nobody."""
    assert {"applied": 2, "duplicate": 1, "unattributed": 1} == played.decided("case-10")
    assert (1, 1) == (played.kpi("case-10", "audience"), played.kpi("case-10", "hard_bounced"))
    assert "hard_bounce" == played.row("case-10").status
    assert {1} == {played.count("case-10", view, "audience") for view in VIEWS}
    assert 1 == played.decided("")["unattributed"], "that which names no delivery"


def test_case_11_a_providers_id_that_comes_again_the_next_day(played: Played) -> None:
    """Of another person, or another event: both count."""
    assert (3, 2) == (played.kpi("case-11", "delivered"), played.kpi("case-11", "unique_opens"))
    assert 0 == played.decided("case-11").get("duplicate", 0)
    assert {3} == {played.count("case-11", view, "delivered") for view in VIEWS}


def test_case_12_a_provider_without_ids(played: Played) -> None:
    """The same fields again are the same event; another time is another event."""
    assert {"applied": 1, "duplicate": 1, "lower_priority": 1} == played.decided("case-12")
    assert (2, 1) == (played.kpi("case-12", "total_opens"), played.kpi("case-12", "unique_opens"))


def test_case_13_bounces_that_are_no_delivery_failures(played: Played) -> None:
    """SparkPost's classes 60, 80, 90 and 100, by the names that its log and KumoMTA's share."""
    statuses = {label: played.row("case-13", f"{label.lower()}@example.org").status for label in SPARKPOST_CLASSES}

    assert dict.fromkeys(SPARKPOST_CLASSES, "delivered") | {"Unsubscribe": "unsubscribed"} == statuses
    for view in ADOBE:
        assert (4, 0) == tuple(played.count("case-13", view, name) for name in ("delivered", "bounces_and_errors"))
    assert (0, 0, 1) == tuple(
        played.count("case-13", "creatio", name) for name in ("hard_bounces", "not_delivered", "unsubscribed")
    )
    assert (3, 0) == (played.kpi("case-13", "autoresponded"), played.kpi("case-13", "hard_bounced"))


def test_case_14_an_unknown_error_code(played: Played) -> None:
    """Of a failure: the address is not given up for it. Of an event: it changes nothing."""
    failure = played.row("case-14").failure
    assert failure is not None
    assert "hard_bounced" not in played.facts("case-14")
    assert (599, "Uncategorized") == (failure.code, failure.reason)
    assert "soft_bounce" == played.row("case-14").status
    assert ("none", False) == (
        played.row("case-14", "joe@example.org").status,
        played.row("case-14", "joe@example.org").final,
    )
    responses = played.stages[-1].reports["case-14"]["creatio"].statuses
    assert {"Soft bounce": 1} == {name: n for name, n in responses.items() if n}


def test_case_15_one_address_in_two_spellings(played: Played) -> None:
    row = played.row("case-15")

    assert ("opened", "JANE@Example.ORG") == (row.status, row.address)
    assert {1} == {played.count("case-15", view, "audience") for view in VIEWS}


def test_case_16_one_address_twice_in_a_delivery(played: Played) -> None:
    """The extra copy is told of; the first goes its way, and counts once."""
    assert ("delivered", 1, 1, 1) == (
        played.row("case-16").status,
        *(played.kpi("case-16", k) for k in ("audience", "delivered", "duplicate_address")),
    )
    assert {1} == {played.count("case-16", view, "duplicates") for view in ADOBE}
    assert {"Sent"} == {played.shown("case-16")[view] for view in ADOBE}


@pytest.mark.parametrize(
    "delivery, before, after",
    [("case-17-48h", FIRST, AFTER_48_HOURS), ("case-17-84h", AFTER_48_HOURS, AFTER_84_HOURS)],
)
def test_case_17_48_hours_without_feedback_and_3_and_a_half_days(
    played: Played, delivery: str, before: int, after: int
) -> None:
    """By a tick, without any further event."""
    waiting = dict(zip(ADOBE, ("Sent", "Pending", TAKEN, "Sent"), strict=True))
    over = dict(zip(ADOBE, ("Sent", "Failed", "Failed", "Sent"), strict=True))

    assert waiting | {"creatio": "Sent to provider", "escala": "Sent"} == played.shown(delivery, before)
    assert over | {"creatio": "Unknown response", "escala": "No feedback"} == played.shown(delivery, after)
    row = played.row(delivery)
    assert ("unknown", True, 1) == (row.status, row.final, played.kpi(delivery, "expired"))
    assert START + (48 if after == AFTER_48_HOURS else 84) * HOUR == row.updated_at


def test_case_29_a_planned_recipient_whose_validity_is_over(played: Played) -> None:
    """Stopped, by a tick."""
    waiting = dict.fromkeys(ADOBE, "Pending") | {"creatio": "Planned", "escala": "Planned"}
    stopped = dict.fromkeys(ADOBE, "Excluded") | {"creatio": "Stopped (time to send expired)", "escala": "Skipped"}

    assert waiting == played.shown("case-29", RELAYED)
    assert stopped == played.shown("case-29", FIRST)
    row = played.row("case-29")
    assert ("not_sent_expired", True, START + 24 * HOUR) == (row.status, row.final, row.updated_at)
    assert (1, 0) == (played.kpi("case-29", "not_sent"), played.kpi("case-29", "sent"))


def test_case_18_an_event_after_the_freeze(played: Played) -> None:
    """Statuses and KPIs no longer change."""
    assert 3 == played.decided("case-18")["late"]
    assert ("delivered", 0, 0, 0) == (
        played.row("case-18").status,
        *(played.kpi("case-18", k) for k in ("hard_bounced", "complained", "unique_opens")),
    )
    for view in VIEWS:
        assert played.counts("case-18", view, RELAYED) == played.counts("case-18", view)


def test_case_19_machine_open_then_human_open(played: Played) -> None:
    """Unique opens 1, machine 1."""
    assert "opened_machine" == played.row("case-19", stage=FIRST).status
    assert "opened" == played.row("case-19").status
    assert (1, 1) == (played.kpi("case-19", "unique_opens"), played.kpi("case-19", "unique_machine_opens"))
    for view in (*ADOBE, "creatio"):
        assert (0, 1) == tuple(played.count("case-19", view, n, FIRST) for n in ("opens", "machine_opens"))
        assert (1, 1) == tuple(played.count("case-19", view, n) for n in ("opens", "machine_opens"))


def test_case_20_five_hard_bounces_in_a_row_against_four_and_another_reason(played: Played) -> None:
    contacts = played.stages[-1].contacts

    assert (False, True) == (contacts["five@example.org"].valid, contacts["four@example.org"].valid)
    assert (5, 1) == (contacts["five@example.org"].hard_bounces, contacts["four@example.org"].hard_bounces)
    for number in range(5):
        assert 2 == played.count(f"case-20-{number}", "creatio", "hard_bounces")


def test_case_21_two_soft_errors_23_hours_apart_count_once(played: Played) -> None:
    contacts = played.stages[-1].contacts

    assert (1, 2) == (contacts["once@example.org"].errors, contacts["twice@example.org"].errors)
    assert "erroneous" == address_status(contacts["once@example.org"], START + DAY).state
    for delivery in ("case-21-o-0", "case-21-o-1"):
        assert (1, "soft_bounce") == (
            played.count(delivery, "efs", "bounces_and_errors"),
            played.row(delivery, "once@example.org").status,
        )
