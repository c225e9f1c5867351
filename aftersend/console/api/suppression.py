"""Suppression check: thousands of addresses in one request, each answered by the worker that owns its partition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from aftersend.console.api.backend import RowReader
from aftersend.console.api.forward import Forwarder
from aftersend.console.api.routes import MAX_ADDRESS
from aftersend.console.errors import STATUSES, ApiError, ErrorCode
from aftersend.rules.contact.suppression import INVALID, NOT_SENT_REASON_OF, SuppressionReason, SuppressionResult
from aftersend.schemas.times import iso
from aftersend.services import masking
from aftersend.services.answers import (
    ApiFailure,
    ApiObjection,
    CheckedAddress,
    MessageType,
    SuppressionAnswer,
    SuppressionRequest,
)

#: Addresses processed without yielding to the event loop: some milliseconds of work, so that the fold is not delayed.
UNBROKEN: Final = 500
#: Requests processed at the same time; each may hold some megabytes.
_MAX_AT_ONCE: Final = 16
_NOT_AN_ADDRESS: Final = SuppressionResult((SuppressionReason(INVALID),))

_encode: Final = msgspec.json.Encoder().encode
_decode_request: Final = msgspec.json.Decoder(SuppressionRequest).decode
_decode_answer: Final = msgspec.json.Decoder(SuppressionAnswer).decode
_decode_failure: Final = msgspec.json.Decoder(ApiFailure).decode


class Caller(NamedTuple):
    """Origin of a request."""

    #: Path of the request, percent-encoded as received.
    path: str
    authorization: str | None
    #: The caller is another worker: addresses of other partitions are not forwarded again.
    forwarded: bool
    #: The role requires masked addresses in the answer.
    masked: bool


class SuppressionChecks:
    """Answers suppression checks.

    Args:
        rows: of this worker.
        forwarder: HTTP client for other workers.
    """

    def __init__(self, rows: RowReader, forwarder: Forwarder) -> None:
        self._rows = rows
        self._forwarder = forwarder
        self._at_once = 0
        #: At most one request reads rows at a time, so that the fold waits for one only.
        self._turn = asyncio.Semaphore(1)

    def enter(self) -> None:
        """Begin a request, before its body is read; `leave` has to follow.

        Raises:
            ApiError: 503, if too many are in progress.
        """
        if self._at_once >= _MAX_AT_ONCE:
            raise ApiError(ErrorCode.OVERLOADED, "too many suppression checks at once")
        self._at_once += 1

    def leave(self) -> None:
        """End a request."""
        self._at_once -= 1

    async def answer(self, body: bytes, caller: Caller) -> SuppressionAnswer:
        """Return the answer for all addresses; there are no partial answers.

        Args:
            body: a `SuppressionRequest` as JSON.
            caller: origin of the request.

        Raises:
            ApiError: 400, if the body is invalid; 503, if the owner of an address is unknown or does not answer.
        """
        try:
            request = _decode_request(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ApiError(ErrorCode.INVALID_BODY, f"invalid request: {error}") from error
        recipients, by_partition = await self._by_partition(request.addresses)
        here, elsewhere = self._by_owner(recipients, by_partition, caller)
        outcomes = await asyncio.gather(
            self._check_here(recipients, here, request.message_type),
            *(
                self._check_elsewhere(url, recipients, indexes, request.message_type, caller)
                for url, indexes in elsewhere.items()
            ),
            return_exceptions=True,
        )
        found: dict[int, CheckedAddress] = {}
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            found.update(outcome)
        results = await _in_order(request.addresses, recipients, found, masked=caller.masked)
        return SuppressionAnswer(may_be_mailed=sum(one.may_be_mailed for one in results), results=results)

    async def _by_partition(self, addresses: Sequence[str]) -> tuple[list[str], dict[int, list[int]]]:
        """Return the normalised addresses ("" if not an address), and their indexes by partition."""
        key_of, partition_of = self._rows.key_of, self._rows.partition
        recipients = []
        by_partition: dict[int, list[int]] = {}
        for index, address in enumerate(addresses):
            recipient = key_of(address) if len(address) <= MAX_ADDRESS else ""
            recipients.append(recipient)
            if recipient:
                by_partition.setdefault(partition_of(recipient), []).append(index)
            if not index % UNBROKEN:
                await asyncio.sleep(0)
        return recipients, by_partition

    def _by_owner(
        self, recipients: Sequence[str], by_partition: dict[int, list[int]], caller: Caller
    ) -> tuple[list[list[int]], dict[str, list[int]]]:
        """Return the indexes that this worker owns, a list a partition, and those of other workers by URL."""
        here: list[list[int]] = []
        elsewhere: dict[str, list[int]] = {}
        for indexes in by_partition.values():
            one = recipients[indexes[0]]
            if self._rows.is_here(one):
                here.append(indexes)
                continue
            url = "" if caller.forwarded else self._rows.owner(one)
            if not url:
                raise ApiError(
                    ErrorCode.PARTITION_MOVING, "the partition of some of these addresses is moving to another worker"
                )
            elsewhere.setdefault(url, []).extend(indexes)
        return here, elsewhere

    async def _check_here(
        self, recipients: Sequence[str], here: Sequence[Sequence[int]], message_type: MessageType
    ) -> dict[int, CheckedAddress]:
        """Return the results of this worker, by index."""
        found: dict[int, CheckedAddress] = {}
        async with self._turn:
            for indexes in here:
                results = await self._rows.check_suppression([recipients[index] for index in indexes], message_type)
                found.update(zip(indexes, map(_checked, results), strict=True))
        return found

    async def _check_elsewhere(
        self, url: str, recipients: Sequence[str], indexes: Sequence[int], message_type: MessageType, caller: Caller
    ) -> dict[int, CheckedAddress]:
        """Return the results of another worker, by index."""
        request = SuppressionRequest(addresses=[recipients[index] for index in indexes], message_type=message_type)
        answer = await self._forwarder.ask(url, caller.path, "", _headers(caller), body=_encode(request))
        try:
            if answer.status_code == HTTPStatus.OK:
                results = _decode_answer(answer.body).results
                if len(results) == len(indexes):
                    return dict(zip(indexes, results, strict=True))
            elif answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                failure = _decode_failure(answer.body).error
                if failure.code in STATUSES:
                    raise ApiError(ErrorCode(failure.code), failure.message)
        except msgspec.MsgspecError as error:
            raise ApiError(
                ErrorCode.OWNER_UNREACHABLE, f"the worker that owns some of these addresses answers wrongly: {error}"
            ) from error
        raise ApiError(
            ErrorCode.OWNER_UNREACHABLE,
            f"the worker that owns some of these addresses answers with status {answer.status_code}",
        )


def _headers(caller: Caller) -> dict[str, str]:
    """Return the headers that a part of the request has; the labels are for the whole answer."""
    return {} if caller.authorization is None else {"authorization": caller.authorization}


async def _in_order(
    addresses: Sequence[str], recipients: Sequence[str], found: dict[int, CheckedAddress], *, masked: bool
) -> list[CheckedAddress]:
    """Return the results in the order of the request, with their addresses."""
    results = []
    for index, (address, recipient) in enumerate(zip(addresses, recipients, strict=True)):
        result = found[index] if recipient else _checked(_NOT_AN_ADDRESS)
        result.address, result.recipient = address, recipient
        results.append(_as_seen_by_viewer(result) if masked else result)
        if not index % UNBROKEN:
            await asyncio.sleep(0)
    return results


def _as_seen_by_viewer(result: CheckedAddress) -> CheckedAddress:
    return msgspec.convert(masking.masked(msgspec.to_builtins(result)), CheckedAddress)


def _checked(result: SuppressionResult) -> CheckedAddress:
    """Return a result for an answer; its addresses are filled in later."""
    if result.may_be_mailed:
        return CheckedAddress(address="", recipient="", may_be_mailed=True)
    return CheckedAddress(
        address="",
        recipient="",
        may_be_mailed=False,
        reason=result.reason,
        not_sent=NOT_SENT_REASON_OF[result.reason],
        objections=[
            ApiObjection(reason=one.reason, since=iso(one.since), delivery_id=one.delivery_id)
            for one in result.objections
        ],
    )
