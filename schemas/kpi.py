"""KPIs of one delivery in one partition: as stored, as published, and the clock record on the same topic."""

from __future__ import annotations

import msgspec


class KpiPartial(msgspec.Struct, gc=False):
    """The KPIs of one delivery in one partition, as the stores hold them (msgpack); all else is computed from it."""

    #: Number of rows by `aftersend.schemas.packing.pack_bucket`; rows of test messages are not counted. The stored name
    #: is `cells`.
    buckets: dict[int, int] = msgspec.field(default_factory=dict, name="cells")
    #: Number of events by `aftersend.schemas.packing.pack_event_counter`.
    events: dict[int, int] = {}
    #: The first and the last arrival, seconds since 1970.
    started_at: float = 0.0
    updated_at: float = 0.0
    version: int = 0
    #: Rows were tombstoned after their retention; the KPIs stay as they were.
    archived: bool = False


class DeliveryKpis(msgspec.Struct, gc=False, omit_defaults=True):
    """The value of the KPI topic: what one partition adds to the KPIs of one delivery. Add up over the partitions.

    The key is `delivery_id`, a TAB, the partition. Times are seconds since 1970 (UTC).
    """

    schema: int
    delivery_id: str
    partition: int
    version: int
    started_at: float
    updated_at: float
    #: By the names of `aftersend.rules.kpi.indicators`.
    kpis: dict[str, int]
    #: Rows by status.
    statuses: dict[str, int]
    #: source -> kind -> decision -> events.
    events: dict[str, dict[str, dict[str, int]]]
    archived: bool = False


class Clock(msgspec.Struct, gc=False):
    """The KPI topic's record with the key `@clock`: the last tick that a partition has folded."""

    schema: int
    partition: int
    tick: float
