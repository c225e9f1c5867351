"""The agent that watches whole deliveries: the leader adds up what all partitions say, and raises each alert once.

What it has raised is what the alerts topic says: its state and its output are the same records, so there is nothing
that could disagree. Why it is no agent over partitions: `docs/decisions/0013-alerts.md`.

1. Start the transactional producer, whose id all leaders share: who watched before can write nothing any more.
2. Read the alerts, what was declared, and the KPIs of all partitions to their ends; committed records only.
3. Compare, and write the crossings in one transaction. When it has committed, they count as said.
4. Go on reading, and compare what has changed, until somebody else leads.

If anything fails, forget everything and begin again with 1.
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

log = structlog.get_logger(__name__)

#: Between two looks at what is new, seconds.
_PAUSE: Final = 0.5
_BACKOFF: Final = (0.5, 1.0, 2.0, 5.0)
_PASSING: Final = (KafkaError, OSError, TimeoutError, TransactionFailedError)

#: Told of crossings that have been written, and of all alerts that are active now.
OnAlerts = Callable[[Sequence[DeliveryAlert], Sequence[DeliveryAlert]], None]


class Alerts:
    """Watches while this worker leads.

    Args:
        settings: of the worker.
        partitions: of the KPI topic and the deliveries topic.
        leads: says whether this worker owns the clock's partition. Two that believe so do no harm.
        begin: returns the state of one who has read nothing yet.
        on_alerts: told after each look that brought something; with nothing at all when this worker leads no longer.
        on_fatal: told of an error that this worker should not live with.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: tuple[int, int],
        leads: Callable[[], bool],
        begin: Callable[[], DeliveryAlerts],
        on_alerts: OnAlerts,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._leads = leads
        self._begin = begin
        self._on_alerts = on_alerts
        self._on_fatal = on_fatal
        topics = settings.topics
        self._places: list[tuple[str, int]] = [(topics.alerts, 0)]
        for topic, number in zip((topics.deliveries, topics.kpis), partitions, strict=True):
            self._places += [(topic, partition) for partition in range(number)]
        self._task: asyncio.Task[None] | None = None
        #: Looks since the last failure.
        self._looks = 0

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def stop(self) -> None:
        """Watch no more."""
        task, self._task = self._task, None
        if task is not None:
            await cancel(task)

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                await asyncio.sleep(_PAUSE)
                if not self._leads():
                    continue
                try:
                    await self._watch()
                    failures = 0
                except FencedError as error:
                    log.warning("alerts: another worker watches", error=str(error))
                    # By then the group has told us, if we lead no longer.
                    await asyncio.sleep(self._settings.session_timeout * 1.5)
                except _PASSING as error:
                    failures = 0 if self._looks else failures + 1
                    log.warning("alerts can't be watched", error=repr(error), failures=failures)
                    await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                self._looks = 0
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker must not go on silently
            self._on_fatal(error)

    async def _watch(self) -> None:
        """Watch until somebody else leads."""
        settings = self._settings
        writer = TransactionalWriter(
            settings.kafka_options(), f"{settings.app_id}-alerts", settings.app_id, settings.transaction_timeout
        )
        try:
            await writer.start()
            state = self._begin()
            ends = await changelog.read(settings.kafka_options(), dict.fromkeys(self._places), state.take)
            # Nobody else writes alerts from now on, so there is nothing to learn from them.
            ends.pop((settings.topics.alerts, 0))
            async with changelog.follow(settings.kafka_options(), ends) as fetch:
                while self._leads():
                    await self._look(writer, state)
                    await asyncio.sleep(_PAUSE)
                    await fetch(state.take)
        finally:
            self._on_alerts((), ())
            await writer.close()

    async def _look(self, writer: TransactionalWriter, state: DeliveryAlerts) -> None:
        """Compare what has changed, and say what has crossed its limit."""
        crossings = state.crossings()
        if crossings:
            output: Any = writer.output()
            channel = output.channel(self._settings.topics.alerts, 0)
            for alert in crossings:
                channel.append(alert_key(alert), encode_alert(alert), int(alert.at * 1000))
            await writer.commit(output)
            for alert in crossings:
                state.written(alert)
                log.info("alert", **_told(alert))
        self._looks += 1
        self._on_alerts(crossings, state.active())


def _told(alert: DeliveryAlert) -> dict[str, Any]:
    return {
        "delivery": alert.delivery_id,
        "alert": alert.alert,
        "state": alert.state,
        "share": round(alert.share, 6),
        "limit": alert.limit,
    }
