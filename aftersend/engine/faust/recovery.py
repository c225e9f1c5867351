"""Faust's table recovery, reduced to its place in a rebalance: take partitions over before the streams resume."""

from __future__ import annotations

from typing import Any, cast

from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery

from aftersend.engine.partitions.manager import PartitionManager


class Recovery(FaustRecovery):
    """Assigns the partitions to their manager after a rebalance."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        partitions: PartitionManager = cast("Any", self.app).partitions  # of `aftersend.engine.faust.app.WorkerApp`
        # Another rebalance meanwhile cancels this and starts over with the new assignment.
        await self._wait(partitions.assign(self.app.consumer.assignment()))
        await super()._resume_streams(generation_id)


class TableManager(FaustTableManager):
    """Faust's table manager with our recovery; the tables are not Faust's, see `docs/decisions/0002-two-stores.md`."""

    @property
    def recovery(self) -> Any:
        """Return the recovery service, made on first use."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
