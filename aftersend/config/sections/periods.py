"""Settings of the periods after which statuses and KPIs become final, and of the rules for addresses."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class PeriodSettings(BaseModel):
    """Periods of deliveries and messages, and rules for addresses."""

    statistics_update_period_days: float = Field(
        30.0,
        gt=0,
        description="Statuses and KPIs of a delivery become final this time after its start, days. Creatio's name for "
        "it works as well: `MailingStatisticUpdatePeriod` (`AFTERSEND_MAILINGSTATISTICUPDATEPERIOD`).",
    )
    retention_days: float = Field(
        120.0,
        gt=0,
        description="Rows of a delivery are deleted (tombstoned) this time after its start, days. Its KPIs stay.",
    )
    response_window_hours: float = Field(
        48.0, gt=0, description="A sent message without an outcome for this time expires with status unknown, hours."
    )
    address_validity: Literal["five-in-a-row", "at-once"] = Field(
        "five-in-a-row",
        description="When an address becomes invalid: after five hard bounces in a row for the same reason, or after "
        "one.",
    )
    unsubscribe_scope: Literal["all", "type"] = Field(
        "all",
        description="What an unsubscribe suppresses: all messages, or messages of the type it came from.",
    )
    clock_interval: float = Field(
        5.0,
        gt=0,
        description="Interval between the ticks that the leading worker writes; they are also the heartbeat in "
        "/metrics.",
    )
    clock_max_step: float = Field(
        3600.0,
        gt=0,
        description="By how much one tick may advance the time of a partition, seconds. A tick that is further ahead "
        "advances it by a tenth of this (docs/domain.md §6.1).",
    )
