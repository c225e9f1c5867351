"""The RocksDB store: a partition's state on disk, with bounded memory whatever the number of rows.

A committed batch is one atomic write: rows, contacts, KPIs, tick and the changelogs' offsets. A crash leaves all of it
or none, and a restart reads the changelogs only from those offsets on.

Keys: `r` + length of the delivery id (4 bytes) + delivery id + recipient: a row; `c` + recipient: a contact; `k` +
delivery id: its KPIs; `d` + delivery id: its terms; `m` + name: metadata of the store. Values are those of the memory
store.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any, Final

import structlog
from rocksdict import Options, Rdict, ReadOptions, WriteBatch

from aftersend.errors import TransactionFailedError
from aftersend.rules.contact.fold import CONTACT_EFFECT
from aftersend.rules.recipient.kinds import KINDS
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.codec.public import decode_terms, encode_json
from aftersend.tables.codec.stored import decode_partial, encode_row
from aftersend.tables.stores.base import Changes, PartitionStore, merge
from aftersend.tables.stores.rocksdb.opening import (
    FRESH_KEY,
    TIME,
    close_database,
    destroy,
    open_database,
    remove_forgotten,
    renew,
    unusable,
)
from aftersend.tables.stores.rocksdb.options import Shared

log = structlog.get_logger(__name__)

_ROW: Final = b"r"
_CONTACT: Final = b"c"
_KPIS: Final = b"k"
_AFTER_KPIS: Final = b"l"
_TERMS: Final = b"d"
_AFTER_TERMS: Final = b"e"
_OFFSET: Final = b"mo"
_AFTER_OFFSETS: Final = b"mp"
_TICK: Final = b"mtick"
_offset: Final = Struct(">q")
#: Types of events that change a contact, so that it is read ahead.
_CONTACT_TYPES: Final = frozenset({kind.name for kind in KINDS if CONTACT_EFFECT[kind.number]} | {"not_sent"})
#: Decoded KPIs that are cached, for each partition.
_CACHED_PARTIALS: Final = 512
#: KPIs that are read together when all are read.
_PAGE: Final = 200
#: Smallest interval between two writes of the time that `open_database` checks, seconds.
_FRESH_INTERVAL: Final = 60.0
_HOUR: Final = 3600.0


def open_stores(
    directory: Path,
    cache_mib: int,
    max_age_hours: float,
    *,
    identity: str = "",
    open_files: int | None = None,
    now: Callable[[], float] = time.time,
) -> Callable[[int], PartitionStore]:
    """Return the function that opens a partition's store.

    Args:
        directory: of this process alone; each partition has a directory in it.
        cache_mib: block cache of all partitions together, MiB.
        max_age_hours: local state that was not used for longer is deleted.
        identity: of the state, such as the Kafka cluster's id; state of another identity is deleted.
        open_files: table files that each partition keeps open at most; None: as many as are of use.
        now: the wall clock, seconds since 1970.
    """
    shared = Shared(cache_mib) if open_files is None else Shared(cache_mib, open_files)
    max_age = max_age_hours * _HOUR
    remove_forgotten(directory, max_age, now())

    def open_store(partition: int) -> PartitionStore:
        return RocksStore(directory / f"partition-{partition}", shared.options(), identity, max_age, now)

    return open_store


class DamagedStoreError(TransactionFailedError):
    """The store is damaged and was deleted; the partition has to be restored."""


class _Prefetched(dict[str, bytes | None]):
    """Values read for a batch, by recipient; a missing one is read on access."""

    __slots__ = ("_get", "prefix")

    def __init__(self, prefix: bytes, get: Callable[[bytes], bytes | None]) -> None:
        super().__init__()
        self.prefix = prefix
        self._get = get

    def __missing__(self, recipient: str) -> bytes | None:
        value = self[recipient] = self._get(self.prefix + recipient.encode())
        return value


class RocksStore(PartitionStore):
    """A partition's state in RocksDB.

    Args:
        path: the partition's own directory.
        options: of RocksDB.
        identity: of the state.
        max_age: seconds after which local state is too old.
        now: the wall clock, seconds since 1970.

    Raises:
        StoreInUseError: if another process has the directory.
        StoreUnusableError: if the directory can't be written.
    """

    def __init__(self, path: Path, options: Options, identity: str, max_age: float, now: Callable[[], float]) -> None:
        self._path = path
        self._options = options
        self._identity = identity
        self._now = now
        try:
            self._take(open_database(path, options, identity, max_age, now()))
        except DamagedStoreError:  # it has been deleted
            self._take(open_database(path, options, identity, max_age, now()))

    def _take(self, database: Rdict) -> None:
        self._database = database
        self._rows: dict[str, _Prefetched] = {}
        self._contacts = _Prefetched(_CONTACT, self._get)
        self._partials: OrderedDict[str, KpiPartial] = OrderedDict()
        self._as_of = 0.0
        self._fresh_at = 0.0
        self.tick = _number(TIME, self._get(_TICK), 0.0)
        # Kept in memory: they are few, since not every delivery is declared, and every tick reads them.
        self.terms = {key[1:].decode(): decode_terms(value) for key, value in self._items(_TERMS, _AFTER_TERMS)}
        offsets = self._items(_OFFSET, _AFTER_OFFSETS)
        self._offsets = {key[len(_OFFSET) :].decode(): _offset.unpack(value)[0] for key, value in offsets}

    # Reading.

    def offsets(self) -> dict[str, int]:
        """Return the store's offset in each changelog."""
        return dict(self._offsets)

    def prefetch(self, events: Iterable[FoldEvent]) -> None:
        """Read the rows and contacts of a batch's events together; a batch may be passed in several parts."""
        # The batch is not committed yet: whatever the store lacks after its commit is written later than now.
        self._as_of = self._now()
        wanted: dict[str, set[str]] = {}
        addresses: set[str] = set()
        of_delivery = wanted.get
        for event in events:
            recipients = of_delivery(event.delivery_id)
            if recipients is None:
                recipients = wanted[event.delivery_id] = set()
            recipients.add(event.recipient)
            if event.type in _CONTACT_TYPES:
                addresses.add(event.recipient)
        self._read([*((self._found(delivery), r) for delivery, r in wanted.items()), (self._contacts, addresses)])

    def _found(self, delivery_id: str) -> _Prefetched:
        found = self._rows.get(delivery_id)
        if found is None:
            found = self._rows[delivery_id] = _Prefetched(_row_prefix(delivery_id), self._get)
        return found

    def _read(self, wanted: list[tuple[_Prefetched, set[str]]]) -> None:
        missing = [(found, list(recipients - found.keys())) for found, recipients in wanted]
        keys: list[Any] = []
        for found, recipients in missing:
            prefix = found.prefix
            keys += [prefix + recipient.encode() for recipient in recipients]
        try:
            values = self._database.get(keys) or []
        except Exception as error:
            raise self._failed(error) from error
        at = 0
        for found, recipients in missing:
            end = at + len(recipients)
            found.update(zip(recipients, values[at:end], strict=True))
            at = end

    def _get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def rows_of(self, delivery_id: str) -> Callable[[str], bytes | None]:
        """Return the look-up of a delivery's rows."""
        return self._found(delivery_id).__getitem__

    def peek(self, delivery_id: str, recipient: str) -> bytes | None:
        """Return an encoded row without caching it."""
        return self._get(_row_prefix(delivery_id) + recipient.encode())

    def deliveries(self) -> Iterator[str]:
        """Iterate over the ids of all deliveries, a page at a time."""
        start = _KPIS
        while page := self._items(start, _AFTER_KPIS, _PAGE):
            yield from (key[1:].decode() for key, _ in page)
            start = page[-1][0] + b"\0"

    def contact(self, recipient: str) -> bytes | None:
        """Return the encoded contact of an address."""
        return self._contacts[recipient]

    def peek_contacts(self, recipients: Sequence[str]) -> list[bytes | None]:
        """Return the encoded contacts of some addresses, read together."""
        try:
            values: list[bytes | None] = self._database.get([_CONTACT + r.encode() for r in recipients]) or []
        except Exception as error:
            raise self._failed(error) from error
        return values

    def partial(self, delivery_id: str) -> KpiPartial | None:
        """Return a delivery's KPIs."""
        partial = self._partials.get(delivery_id)
        if partial is None:
            stored = self._get(_KPIS + delivery_id.encode())
            if stored is None:
                return None
            partial = decode_partial(stored)
            self._keep(delivery_id, partial)
        else:
            self._partials.move_to_end(delivery_id)
        return partial

    def _keep(self, delivery_id: str, partial: KpiPartial) -> None:
        self._partials[delivery_id] = partial
        self._partials.move_to_end(delivery_id)
        if len(self._partials) > _CACHED_PARTIALS:
            self._partials.popitem(last=False)

    def partials(self) -> Iterator[tuple[str, KpiPartial]]:
        """Iterate over the KPIs of all deliveries."""
        start = _KPIS
        while page := self._items(start, _AFTER_KPIS, _PAGE):
            for key, value in page:
                yield key[1:].decode(), decode_partial(value)
            start = page[-1][0] + b"\0"

    def scan(self, delivery_id: str, after: str | None, limit: int) -> list[tuple[str, bytes]]:
        """Return some rows of a delivery, in the order of their recipients' bytes."""
        prefix = _row_prefix(delivery_id)
        start = prefix if after is None else prefix + after.encode() + b"\0"
        # No byte of UTF-8, and no length byte that ends a prefix, is 255.
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        length = len(prefix)
        return [(key[length:].decode(), value) for key, value in self._items(start, end, limit)]

    def _items(self, start: bytes, end: bytes, limit: int | None = None) -> list[tuple[Any, Any]]:
        """Return keys and values; a list, since an open iterator keeps the database from closing."""
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        options.fill_cache(False)  # type: ignore[call-arg] # noqa: FBT003 - the stub lacks the argument
        try:
            return list(islice(self._database.items(from_key=start, read_opt=options), limit))
        except Exception as error:
            raise self._failed(error) from error

    def count(self) -> int:
        """Return an estimate of the number of rows."""
        return self._database.property_int_value("rocksdb.estimate-num-keys") or 0

    # Writing.

    def apply(self, changes: Changes, offsets: dict[str, int]) -> None:
        """Write a committed batch's changes and the changelogs' offsets, in one atomic write."""
        batch = WriteBatch(raw_mode=True)
        for delivery_id, rows in changes.rows.items():
            _put(batch, _row_prefix(delivery_id), rows)
        _put(batch, _CONTACT, changes.contacts)
        for delivery_id, partial in changes.partials.items():
            batch.put(_KPIS + delivery_id.encode(), encode_row(partial))
        _put(batch, _TERMS, {d: None if terms is None else encode_json(terms) for d, terms in changes.terms.items()})
        for topic, offset in offsets.items():
            batch.put(_OFFSET + topic.encode(), _offset.pack(offset))
        tick = max(self.tick, changes.tick)
        if tick > self.tick:
            batch.put(_TICK, TIME.pack(tick))
        refresh = self._as_of - self._fresh_at >= _FRESH_INTERVAL
        if refresh:
            batch.put(FRESH_KEY, TIME.pack(self._as_of))
        try:
            self._database.write(batch)
        except Exception as error:
            raise self._failed(error) from error
        if refresh:
            self._fresh_at = self._as_of
        self.tick = tick
        self._offsets.update(offsets)
        merge(self.terms, changes.terms)
        for delivery_id, partial in changes.partials.items():
            self._keep(delivery_id, partial)
        self._rows, self._contacts = {}, _Prefetched(_CONTACT, self._get)

    def clear(self, reason: str) -> None:
        """Delete everything: this state came from other changelogs."""
        close_database(self._database)
        self._take(renew(self._path, self._options, self._identity, self._now(), reason))

    def close(self) -> None:
        """Close files and free memory; applied changes are on disk."""
        close_database(self._database)
        self._rows, self._contacts = {}, _Prefetched(_CONTACT, self._get)
        self._partials.clear()

    def _failed(self, error: Exception) -> Exception:
        """Return the error to raise for one of RocksDB's; a damaged database is deleted at once."""
        if not str(error).startswith("Corruption"):
            return unusable(self._path, error)
        log.warning("local state is damaged and thrown away", directory=str(self._path), error=str(error))
        close_database(self._database)
        destroy(self._path)
        return DamagedStoreError(f"{self._path}: {error}")


def _row_prefix(delivery_id: str) -> bytes:
    encoded = delivery_id.encode()
    return _ROW + len(encoded).to_bytes(4) + encoded


def _put(batch: WriteBatch, prefix: bytes, changed: dict[str, bytes | None]) -> None:
    put = batch.put
    for recipient, value in changed.items():
        if value is None:
            batch.delete(prefix + recipient.encode())
        else:
            put(prefix + recipient.encode(), value)


def _number(layout: Struct, value: bytes | None, default: float) -> float:
    return default if value is None else float(layout.unpack(value)[0])
