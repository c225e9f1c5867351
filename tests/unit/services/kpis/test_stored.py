import msgspec

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.publish.kpis import from_counters, from_hash
from aftersend.rules.kpi.indicators import RATES
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.services.kpis.stored import KpiSums, flat
from aftersend.tables.codec.keys import CLOCK_KEY
from aftersend.tables.codec.public import encode_clock


class Record:
    offset = 0
    timestamp = 0

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self.headers: list[tuple[str, bytes | None]] = []
        self.key: bytes | None = key
        self.value = value


def part(partition: int, delivered: int, *, started_at: float = 100.0, archived: bool = False) -> DeliveryKpis:
    return DeliveryKpis(
        schema=SCHEMA_VERSION,
        delivery_id="d",
        partition=partition,
        version=1,
        started_at=started_at,
        updated_at=started_at + partition,
        kpis={"delivered": delivered, "unique_opens": 1, "applied": 2, "late": 0},
        statuses={"delivered": delivered},
        events={"kumomta": {"delivered": {"applied": delivered}}},
        archived=archived,
    )


def record(value: DeliveryKpis) -> FetchedRecord:
    return Record(f"d\t{value.partition}".encode(), msgspec.json.encode(value))


def test_partitions_are_added_up() -> None:
    summed = KpiSums()
    summed.apply("kpis", 0, [record(part(0, 1)), record(part(0, 5, started_at=90.0))])
    summed.apply("kpis", 1, [record(part(1, 7)), Record(CLOCK_KEY, encode_clock(1, 5.0)), Record(b"gone\t1", None)])

    kpis = summed.deliveries()["d"]

    assert 12 == kpis.kpis["delivered"]
    assert {"delivered": 12} == kpis.statuses
    assert 4 == kpis.decisions["applied"]
    assert (90.0, 101.0) == (kpis.started_at, kpis.updated_at)
    assert {"kumomta": {"delivered": {"applied": 12}}} == kpis.events


def test_archived_in_one_partition_is_archived() -> None:
    summed = KpiSums()
    summed.apply("kpis", 0, [record(part(0, 1)), record(part(1, 1, archived=True))])

    assert summed.deliveries()["d"].as_json()["archived"]


def test_a_hash_is_read_without_its_parts() -> None:
    kpis = from_hash(
        "d",
        {"delivered": "3", "status_sent": "2", "_p0": "{}", "started_at": "1.5", "updated_at": "2", "revision": "9"},
    )

    assert 3 == kpis.kpis["delivered"]
    assert {"sent": 2} == kpis.statuses
    assert (1.5, 2.0) == (kpis.started_at, kpis.updated_at)


def test_every_rate_comes_with_numerator_and_denominator() -> None:
    rates = from_counters("d", {"delivered": 4, "unique_opens": 1}, 0.0, 0.0).as_json()["rates"]

    assert [rate.name for rate in RATES] == list(rates)
    assert {
        "value": 0.25,
        "numerator": 1,
        "numerator_name": "unique_opens",
        "denominator": 4,
        "denominator_name": "delivered",
    } == rates["open_rate"]
    assert rates["delivered_rate"]["value"] is None


def test_the_counters_of_a_part_are_those_of_redis() -> None:
    assert {"delivered": 3, "unique_opens": 1, "applied": 2, "status_delivered": 3} == flat(part(0, 3))
