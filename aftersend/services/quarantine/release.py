"""Releases addresses from quarantine: one record for each on the raw topic of the source `operations`."""

from __future__ import annotations

import getpass
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.schemas.raw import RawRecord
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.kafka.raw_records import write_raw_records
from aftersend.services.quarantine.addresses import QuarantineEntry, by_error
from aftersend.sources.own import operations
from aftersend.sources.own.operations.payload import MAX_WORDS, OperationRecord


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's request to release addresses."""

    #: Time of the request, seconds since 1970.
    at: float
    #: Who requests it.
    by: str
    why: str
    #: Id that all releases of one request share.
    batch: str


def release_request(at: float, by: str | None, why: str | None, default_why: str) -> ReleaseRequest:
    """Return a request.

    Args:
        at: time of the request, seconds since 1970.
        by: who requests it; None: this machine's user.
        why: the reason to keep; None: the default.
        default_why: a reason.

    Raises:
        UsageError: if `by` or `why` is empty or too long.
    """
    by = by if by is not None else f"{getpass.getuser()}@{socket.gethostname()}"
    why = why if why is not None else default_why
    for option, text in (("--by", by), ("--why", why)):
        if not 0 < len(text) <= MAX_WORDS:
            raise UsageError(f"{option} takes 1 to {MAX_WORDS} characters")
    return ReleaseRequest(at=at, by=by, why=why, batch=uuid.uuid4().hex)


def records(entries: list[QuarantineEntry], request: ReleaseRequest) -> Iterator[RawRecord]:
    """Yield the raw records that release addresses, with the address as key."""
    for entry in entries:
        recipient = entry.contact.recipient
        # A broker's clock may be ahead of this machine's; the release must not be older than the quarantine.
        at = max(request.at, entry.status.since)
        record = OperationRecord("release", recipient, at, request.by, request.why, batch=request.batch)
        yield RawRecord(operations.NAME, msgspec.json.encode(record), recipient.encode(), int(request.at * 1000))


async def write_releases(
    settings: Settings,
    entries: list[QuarantineEntry],
    request: ReleaseRequest,
    on_acknowledged: Callable[[int], None],
) -> int:
    """Write releases to their raw topic; return their number once all of them are acknowledged.

    Args:
        settings: of the installation.
        entries: addresses to release.
        request: who releases them, and why.
        on_acknowledged: called from time to time with the number of acknowledged records.

    Raises:
        KafkaUnusableError: if the topic is missing, or a record is not acknowledged.
    """
    partitions = {operations.NAME: await partitions_of(settings, settings.topics.raw(operations.NAME))}
    return await write_raw_records(settings, records(entries, request), partitions, on_acknowledged=on_acknowledged)


def as_json(entries: list[QuarantineEntry], request: ReleaseRequest, released: int, *, dry_run: bool) -> dict[str, Any]:
    """Return the JSON object of `aftersend quarantine release --json`."""
    counts = [{"domain": d, "error": error, "addresses": n} for (d, error), n in by_error(entries).most_common()]
    return {
        "addresses": len(entries),
        "released": released,
        "dry_run": dry_run,
        "counts": counts,
        "batch": request.batch,
        "by": request.by,
        "why": request.why,
    }
