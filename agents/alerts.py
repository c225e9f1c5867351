"""Alerts on whole deliveries: the leader sums the KPIs of all partitions and writes each alert once.

The alerts topic is both output and state: the alerts that were raised are the records there, so the two can't differ.
Why this is not an agent over partitions: `docs/decisions/0013-alerts.md`.

1. Start the transactional producer, whose id all leaders share: the former leader is fenced.
2. Read the alerts, the declarations and the KPIs of all partitions to their ends; committed records only.
3. Compare with the thresholds, and write the crossings in one transaction. They count as written when it has committed.
4. Read on, and compare what has changed, until another worker leads.

After any failure, drop the state and begin again with 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.tasks import cancel
from aftersend.engine.transaction import TransactionalWriter
from aftersend.errors import FencedError, TransactionFailedError
from aftersend.schemas.alert import DeliveryAlert
from aftersend.tables.alerts import DeliveryAlerts, alert_key, encode_alert
from aftersend.tables.damage import SupersededDamage

log = structlog.get_logger(__name__)

#: Between two comparisons, seconds: an alert may be that late.
_INTERVAL_SECONDS: Final = 0.5
#: Before the next attempt after a failure, seconds.
_BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
#: Session timeouts to wait after being fenced: by then the group has revoked the clock's partition, if it ever will.
_FENCED_SESSIONS: Final = 1.5
#: Errors that a retry may cure.
_TRANSIENT: Final = (KafkaError, OSError, TimeoutError, TransactionFailedError)

#: Called with the crossings that were written, and all alerts that are active now.
OnAlerts = Callable[[Sequence[DeliveryAlert], Sequence[DeliveryAlert]], None]


class AlertMonitor:
    """Compares deliveries with the alert thresholds while this worker leads.

    Args:
        settings: of the worker.
        partitions: numbers of partitions of the deliveries topic and the KPI topic.
        leads: returns whether this worker owns the clock's partition. Two workers that believe so do no harm.
        new_state: returns an empty state.
        on_alerts: called after each comparison, and with empty sequences when this worker no longer leads.
        on_fatal: called with an error that must stop the worker.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: tuple[int, int],
        leads: Callable[[], bool],
        new_state: Callable[[], DeliveryAlerts],
        on_alerts: OnAlerts,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._leads = leads
        self._new_state = new_state
        self._on_alerts = on_alerts
        self._on_fatal = on_fatal
        topics = settings.topics
        self._partitions: list[tuple[str, int]] = [(topics.alerts, 0)]
        for topic, number in zip((topics.deliveries, topics.kpis), partitions, strict=True):
            self._partitions += [(topic, partition) for partition in range(number)]
        self._task: asyncio.Task[None] | None = None
        #: Comparisons since the last failure.
        self._comparisons = 0

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def stop(self) -> None:
        """Stop the task."""
        task, self._task = self._task, None
        if task is not None:
            await cancel(task)

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                await asyncio.sleep(_INTERVAL_SECONDS)
                if not self._leads():
                    continue
                try:
                    await self._lead()
                    failures = 0
                except FencedError as error:
                    log.warning("alerts: another worker watches", error=str(error))
                    await asyncio.sleep(self._settings.session_timeout * _FENCED_SESSIONS)
                except _TRANSIENT as error:
                    failures = 0 if self._comparisons else failures + 1
                    log.warning("alerts can't be watched", error=repr(error), failures=failures)
                    await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                self._comparisons = 0
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker must not continue silently
            self._on_fatal(error)

    async def _lead(self) -> None:
        """Compare until another worker leads."""
        settings = self._settings
        writer = TransactionalWriter(
            settings.kafka_options(), f"{settings.app_id}-alerts", settings.app_id, settings.transaction_timeout
        )
        try:
            await writer.start()
            state = self._new_state()
            # What can't be read raises no alert, but ends no worker either: whoever restores it refuses it.
            reading = SupersededDamage(state.take)
            ends = await changelog.read(settings.kafka_options(), dict.fromkeys(self._partitions), reading.apply)
            for damaged in reading.damaged():
                log.warning("a record can't be read, and raises no alert", **damaged._asdict())
            # No other worker can write alerts from now on, so they need not be read again.
            ends.pop((settings.topics.alerts, 0))
            async with changelog.follow(settings.kafka_options(), ends) as fetch:
                while self._leads():
                    await self._compare(writer, state)
                    await asyncio.sleep(_INTERVAL_SECONDS)
                    await fetch(reading.apply)
        finally:
            self._on_alerts((), ())
            await writer.close()

    async def _compare(self, writer: TransactionalWriter, state: DeliveryAlerts) -> None:
        """Compare what has changed, and write what has crossed its threshold."""
        crossings = state.crossings()
        if crossings:
            output: Any = writer.output()
            channel = output.channel(self._settings.topics.alerts, 0)
            for alert in crossings:
                channel.append(alert_key(alert), encode_alert(alert), int(alert.at * 1000))
            await writer.commit(output)
            for alert in crossings:
                state.written(alert)
                log.info("alert", **_log_fields(alert))
        self._comparisons += 1
        self._on_alerts(crossings, state.active())


def _log_fields(alert: DeliveryAlert) -> dict[str, Any]:
    return {
        "delivery": alert.delivery_id,
        "alert": alert.alert,
        "state": alert.state,
        "share": round(alert.share, 6),
        "limit": alert.limit,
    }
