"""Rows from their changelog; on a real Kafka in `tests/system/test_restore.py`."""

from typing import Any, cast

import pytest

from aftersend.rules.recipient.timing import timing
from aftersend.tables import restore
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore
from tests.unit.rules.factories import DAY, NUMBERS, event
from tests.unit.tables.factories import Partition, Record, tick

QUICK = timing(freeze=DAY, retention=2 * DAY, numbers=NUMBERS)


def test_a_row_whose_delivery_has_a_tab_in_its_id_stays_forgotten() -> None:
    """Delivery ids come from outside."""
    partition = Partition(times=QUICK)
    partition.take(event("sent", delivery_id="a\tb"))
    partition.take(tick(2 * DAY))
    changes = Changes()
    restore._rows(cast("Any", partition.written["feedback.status"]), changes)

    assert {"r@example.org": None} == changes.rows["a\tb"]


@pytest.mark.parametrize("names", [("a\tb", "r"), ("a", "b\tr"), ("\t", "\t"), ("", "\t"), ("\t", "")])
def test_rows_of_names_with_tabs_are_restored_and_forgotten(names: tuple[str, str]) -> None:
    delivery_id, recipient = names
    partition = Partition()
    partition.take(event("sent", delivery_id=delivery_id, recipient=recipient))
    record = partition.last("feedback.status")
    store, changes, gone = MemoryStore(), Changes(), Changes()
    restore._rows(cast("Any", [record]), changes)
    store.apply(changes, {})

    assert partition.store.rows_of(delivery_id)(recipient) == store.rows_of(delivery_id)(recipient) is not None

    restore._rows(cast("Any", [Record(1, 0, record.key, None)]), gone)
    store.apply(gone, {})

    assert 0 == store.count()
