"""A delivery as the products show it, from the KPI topic's histograms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.kpi.indicators import merged
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import View, ViewReport
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.codec.keys import SEPARATOR, internal_header
from aftersend.tables.codec.stored import decode_partial


class DeliveryHistograms:
    """Adds one delivery's histograms up over partitions.

    Args:
        delivery_id: of the delivery.
    """

    def __init__(self, delivery_id: str) -> None:
        self._id = delivery_id.encode()
        self._parts: dict[int, KpiPartial] = {}

    def apply(self, _topic: str, partition: int, records: list[FetchedRecord]) -> None:
        """Take records of the KPI topic; a later one of a partition replaces an earlier one."""
        for record in records:
            delivery_id, separator, _ = (record.key or b"").rpartition(SEPARATOR.encode())
            if separator and delivery_id == self._id:
                if record.value is None:
                    self._parts.pop(partition, None)
                else:
                    self._parts[partition] = decode_partial(internal_header(record.headers))

    def reports(self, views: Iterable[View]) -> list[ViewReport]:
        """Return the delivery in each view; none if nothing was read of it."""
        if not self._parts:
            return []
        cells: dict[int, int] = {}
        events: dict[int, int] = {}
        for part in self._parts.values():
            cells, events = merged(cells, part.buckets), merged(events, part.events)
        return [view.kpis(cells, events) for view in views]


async def follow_reports(
    settings: Settings, partitions: int, delivery_id: str, names: Sequence[str]
) -> AsyncIterator[list[ViewReport]]:
    """Yield a delivery in each of some views, now and with every change; nothing before anything is known of it.

    Takes what `read_reports` takes, and goes on until it is closed.
    """
    views = _chosen(names)
    histograms, ends = await _read(settings, partitions, delivery_id)
    async with changelog.follow(settings.kafka_options(), ends) as fetch:
        shown: list[ViewReport] = []
        while True:
            reports = histograms.reports(views)
            if reports != shown:
                yield reports
                shown = reports
            await fetch(histograms.apply)


async def read_reports(settings: Settings, partitions: int, delivery_id: str, names: Sequence[str]) -> list[ViewReport]:
    """Return a delivery in each of some views, from all of the KPI topic's partitions; none if it is not there.

    Args:
        settings: where Kafka is.
        partitions: of the KPI topic.
        delivery_id: of the delivery.
        names: of the views, in the order in which they are wanted.
    """
    histograms, _ = await _read(settings, partitions, delivery_id)
    return histograms.reports(_chosen(names))


def _chosen(names: Sequence[str]) -> list[View]:
    """Return the views of some names, each once, in their order."""
    return [VIEWS[name] for name in dict.fromkeys(names)]


async def _read(
    settings: Settings, partitions: int, delivery_id: str
) -> tuple[DeliveryHistograms, dict[tuple[str, int], int]]:
    """Return a delivery's histograms, and where the KPI topic's partitions ended."""
    histograms = DeliveryHistograms(delivery_id)
    starts = {(settings.topics.kpis, partition): None for partition in range(partitions)}
    return histograms, await changelog.read(settings.kafka_options(), starts, histograms.apply)


def as_json(delivery_id: str, reports: Sequence[ViewReport]) -> dict[str, Any]:
    """Return what scripts read."""
    return {
        "delivery_id": delivery_id,
        "views": {report.view: {"title": VIEWS[report.view].title, **_fields(report)} for report in reports},
    }


def _fields(report: ViewReport) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(report)
    del fields["view"]
    return fields
