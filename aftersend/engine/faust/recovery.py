"""Faust's recovery, reduced to its place in the rebalance: when the group has spoken, take the partitions over."""

from __future__ import annotations

from typing import Any, cast

from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery

from aftersend.engine.partitions.manager import PartitionManager


class Recovery(FaustRecovery):
    """Takes partitions over before the streams resume."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        ownership: PartitionManager = cast("Any", self.app).partitions  # an `aftersend.engine.faust.app.WorkerApp`
        # A rebalance in the middle of it cancels this and starts over with the new assignment.
        await self._wait(ownership.assign(self.app.consumer.assignment()))
        await super()._resume_streams(generation_id)


class TableManager(FaustTableManager):
    """Faust's table manager with our recovery; our tables are not Faust's, see `docs/decisions`."""

    @property
    def recovery(self) -> Any:
        """Return the recovery service, made when first asked for."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
