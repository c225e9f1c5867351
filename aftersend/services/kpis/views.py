"""KPIs of a delivery as other products show them, from the histograms on the KPI topic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import UsageError
from aftersend.locale.languages import LanguageCode
from aftersend.rules.kpi.indicators import merged
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import View, ViewReport
from aftersend.schemas.kpi import KpiPartial
from aftersend.services.deliveries.overview import read_declared
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.names.views import ViewNames
from aftersend.tables.codec.keys import SEPARATOR, internal_header
from aftersend.tables.codec.stored import decode_partial
from aftersend.tables.damage import read_state

#: Selects the view that a delivery's declaration names as its policy.
DECLARED: Final = "declared"


class DeliveryHistograms:
    """Sums one delivery's histograms over partitions.

    Args:
        delivery_id: of the delivery.
    """

    def __init__(self, delivery_id: str) -> None:
        self._id = delivery_id.encode()
        self._parts: dict[int, KpiPartial] = {}

    def apply(self, _topic: str, partition: int, records: list[FetchedRecord]) -> None:
        """Add records of the KPI topic; a later record of a partition replaces an earlier one."""
        for record in records:
            delivery_id, separator, _ = (record.key or b"").rpartition(SEPARATOR.encode())
            if separator and delivery_id == self._id:
                if record.value is None:
                    self._parts.pop(partition, None)
                else:
                    self._parts[partition] = decode_partial(internal_header(record.headers))

    def reports(self, views: Iterable[View]) -> list[ViewReport]:
        """Return the delivery in each view; empty if the topic has no record of it."""
        if not self._parts:
            return []
        buckets: dict[int, int] = {}
        events: dict[int, int] = {}
        for part in self._parts.values():
            buckets, events = merged(buckets, part.buckets), merged(events, part.events)
        return [view.kpis(buckets, events) for view in views]


async def resolve_declared(settings: Settings, delivery_id: str, names: Sequence[str]) -> list[str]:
    """Return names of views, with the delivery's declared policy in place of `DECLARED`.

    Raises:
        UsageError: if the delivery has no declared policy.
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    if DECLARED not in names:
        return list(names)
    declared = (await read_declared(settings)).get(delivery_id)
    if declared is None or not declared.policy:
        raise UsageError(
            f"delivery {delivery_id!r} has no declared policy: name a view, or declare one with "
            f"`aftersend deliveries set {delivery_id} --policy efs`"
        )
    return [declared.policy if name == DECLARED else name for name in names]


async def read_reports(settings: Settings, delivery_id: str, names: Sequence[str]) -> list[ViewReport]:
    """Return a delivery in some views, from all partitions of the KPI topic; empty if it has no record there.

    Args:
        settings: of the installation.
        delivery_id: of the delivery.
        names: of the views, in the order of the result.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    histograms, _ = await _read(settings, delivery_id)
    return histograms.reports(_views(names))


async def follow_reports(settings: Settings, delivery_id: str, names: Sequence[str]) -> AsyncIterator[list[ViewReport]]:
    """Yield a delivery in some views, now and after every change; nothing before its first record.

    Args and errors are those of `read_reports`; it continues until it is closed.
    """
    views = _views(names)
    histograms, ends = await _read(settings, delivery_id)
    async with changelog.follow(settings.kafka_options(), ends) as fetch:
        last: list[ViewReport] = []
        while True:
            reports = histograms.reports(views)
            if reports != last:
                yield reports
                last = reports
            await fetch(histograms.apply)


def reports_of(buckets: Mapping[int, int], events: Mapping[int, int], names: Sequence[str]) -> list[ViewReport]:
    """Return histograms in some views (`aftersend.schemas.kpi.KpiPartial`)."""
    return [view.kpis(buckets, events) for view in _views(names)]


def _views(names: Sequence[str]) -> list[View]:
    return [VIEWS[name] for name in dict.fromkeys(names)]


async def _read(settings: Settings, delivery_id: str) -> tuple[DeliveryHistograms, dict[tuple[str, int], int]]:
    """Return a delivery's histograms, and the ends of the KPI topic's partitions."""
    topic = settings.topics.kpis
    histograms = DeliveryHistograms(delivery_id)
    starts = {(topic, partition): None for partition in range(await partitions_of(settings, topic))}
    return histograms, await read_state(settings.kafka_options(), starts, histograms.apply)


def as_json(delivery_id: str, reports: Sequence[ViewReport], language: LanguageCode | None = None) -> dict[str, Any]:
    """Return the JSON object of `aftersend kpi --view … --json`.

    Args:
        delivery_id: of the delivery.
        reports: of the views.
        language: of the labels; None: none.
    """
    return {
        "delivery_id": delivery_id,
        "views": {report.view: _with_labels(report, language) for report in reports},
    }


def _with_labels(report: ViewReport, language: LanguageCode | None) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(report)
    del fields["view"]
    view = VIEWS[report.view]
    if language is not None:
        names = ViewNames(view, language)
        fields["labels"] = {
            "language": language,
            "title": names.title,
            "statuses": {key: names.status(key) for key in report.statuses},
            "counts": {key: names.number(key) for key in report.counts},
            "totals": {key: names.number(key) for key in report.totals},
            "rates": {key: names.rate(key) for key in report.rates},
        }
    return {"title": view.title, **fields}
