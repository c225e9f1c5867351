"""The suppression check: thousands of addresses in one question, each answered by the worker that has its partition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from aftersend.console.api.backend import RowReader
from aftersend.console.api.forward import Forwarder
from aftersend.console.api.routes import MAX_ADDRESS
from aftersend.console.errors import STATUSES, ApiError, ErrorCode
from aftersend.rules.contact.suppression import INVALID, NOT_SENT_REASON_OF, SuppressionResult
from aftersend.rules.contact.suppression import SuppressionReason as Found
from aftersend.schemas.times import iso
from aftersend.services.answers import (
    ApiFailure,
    ApiObjection,
    CheckedAddress,
    MessageType,
    SuppressionAnswer,
    SuppressionRequest,
)
from aftersend.services.public_records import mask_address

#: Addresses that are worked on without a pause: some milliseconds, so that the fold does not wait for long.
UNBROKEN: Final = 500
#: Questions that are dealt with at once; each may hold some megabytes.
_MAX_AT_ONCE: Final = 16
_UNAVAILABLE: Final = 503
_OK: Final = 200
_NO_ADDRESS: Final = SuppressionResult((Found(INVALID),))

_encode: Final = msgspec.json.Encoder().encode
_decode_question: Final = msgspec.json.Decoder(SuppressionRequest).decode
_decode_answer: Final = msgspec.json.Decoder(SuppressionAnswer).decode
_decode_failed: Final = msgspec.json.Decoder(ApiFailure).decode


class Caller(NamedTuple):
    """Who asks, and how."""

    #: The path of the question, as it came.
    path: str
    authorization: str | None
    #: Another worker asks: what is not here is not asked for elsewhere.
    forwarded: bool
    #: Addresses are masked in the answer.
    masked: bool


class SuppressionChecks:
    """Answers suppression checks.

    Args:
        rows: of this worker.
        forwarder: asks the others.
    """

    def __init__(self, rows: RowReader, forwarder: Forwarder) -> None:
        self._rows = rows
        self._forwarder = forwarder
        self._at_once = 0
        #: The fold waits for one of them at a time only.
        self._turn = asyncio.Semaphore(1)

    def enter(self) -> None:
        """Begin a question, before its body is read; `leave` has to follow.

        Raises:
            ApiError: 503, if there are too many.
        """
        if self._at_once >= _MAX_AT_ONCE:
            message = "too many suppression checks at once"
            raise ApiError(ErrorCode.OVERLOADED, message)
        self._at_once += 1

    def leave(self) -> None:
        """End a question."""
        self._at_once -= 1

    async def answer(self, body: bytes, asker: Caller) -> SuppressionAnswer:
        """Return what is asked for, whole or not at all.

        Args:
            body: a `SuppressionQuestion` as JSON.
            asker: who asks.

        Raises:
            ApiError: 400, if this is no such question; 503, if it is not sure of all addresses who has them.
        """
        try:
            question = _decode_question(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            message = f"this is no question that can be answered: {error}"
            raise ApiError(ErrorCode.INVALID_BODY, message) from error
        recipients, of_partition = await self._sorted(question.addresses)
        here, elsewhere = self._owners(recipients, of_partition, asker)
        outcomes = await asyncio.gather(
            self._look_up(recipients, here, question.message_type),
            *(self._ask(url, recipients, places, question.message_type, asker) for url, places in elsewhere.items()),
            return_exceptions=True,
        )
        found: dict[int, CheckedAddress] = {}
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            found.update(outcome)
        results = []
        for place, (address, recipient) in enumerate(zip(question.addresses, recipients, strict=True)):
            checked = found[place] if recipient else _checked(_NO_ADDRESS)
            checked.address, checked.recipient = address, recipient
            if asker.masked:
                checked.address, checked.recipient = mask_address(address), mask_address(recipient)
            results.append(checked)
            if not place % UNBROKEN:
                await asyncio.sleep(0)
        return SuppressionAnswer(may_be_mailed=sum(one.may_be_mailed for one in results), results=results)

    async def _sorted(self, addresses: Sequence[str]) -> tuple[list[str], dict[int, list[int]]]:
        """Return the addresses in the tables' spelling, "" for what is none, and their places by partition."""
        key_of, partition_of = self._rows.key_of, self._rows.partition
        recipients = []
        of_partition: dict[int, list[int]] = {}
        for place, address in enumerate(addresses):
            recipient = key_of(address) if len(address) <= MAX_ADDRESS else ""
            recipients.append(recipient)
            if recipient:
                of_partition.setdefault(partition_of(recipient), []).append(place)
            if not place % UNBROKEN:
                await asyncio.sleep(0)
        return recipients, of_partition

    def _owners(
        self, recipients: Sequence[str], of_partition: dict[int, list[int]], asker: Caller
    ) -> tuple[list[list[int]], dict[str, list[int]]]:
        """Return the places of what is here, by partition, and of what others have, by their URL."""
        here: list[list[int]] = []
        elsewhere: dict[str, list[int]] = {}
        for places in of_partition.values():
            one = recipients[places[0]]
            if self._rows.is_here(one):
                here.append(places)
                continue
            url = "" if asker.forwarded else self._rows.owner(one)
            if not url:
                message = "the partition of some of these addresses is on its way to a worker"
                raise ApiError(ErrorCode.PARTITION_MOVING, message)
            elsewhere.setdefault(url, []).extend(places)
        return here, elsewhere

    async def _look_up(
        self, recipients: Sequence[str], here: Sequence[Sequence[int]], message_type: MessageType
    ) -> dict[int, CheckedAddress]:
        """Return what this worker knows, by place."""
        found: dict[int, CheckedAddress] = {}
        async with self._turn:
            for places in here:
                verdicts = await self._rows.verdicts([recipients[place] for place in places], message_type)
                found.update(zip(places, map(_checked, verdicts), strict=True))
        return found

    async def _ask(
        self, url: str, recipients: Sequence[str], places: Sequence[int], message_type: MessageType, asker: Caller
    ) -> dict[int, CheckedAddress]:
        """Return what another worker knows, by place."""
        wanted = SuppressionRequest(addresses=[recipients[place] for place in places], message_type=message_type)
        said = await self._forwarder.ask(url, asker.path, "", asker.authorization, body=_encode(wanted))
        try:
            if said.status_code == _OK:
                results = _decode_answer(said.body).results
                if len(results) == len(places):
                    return dict(zip(places, results, strict=True))
            elif said.status_code == _UNAVAILABLE:
                failed = _decode_failed(said.body).error
                if failed.code in STATUSES:
                    raise ApiError(ErrorCode(failed.code), failed.message)
        except msgspec.MsgspecError as error:
            message = f"the worker that has some of these addresses answers what nobody understands: {error}"
            raise ApiError(ErrorCode.OWNER_UNREACHABLE, message) from error
        message = f"the worker that has some of these addresses does not tell them (status {said.status_code})"
        raise ApiError(ErrorCode.OWNER_UNREACHABLE, message)


def _checked(verdict: SuppressionResult) -> CheckedAddress:
    if verdict.may_be_mailed:
        return CheckedAddress(address="", recipient="", may_be_mailed=True)
    return CheckedAddress(
        address="",
        recipient="",
        may_be_mailed=False,
        reason=verdict.reason,
        not_sent=NOT_SENT_REASON_OF[verdict.reason],
        objections=[
            ApiObjection(reason=one.reason, since=iso(one.since), delivery_id=one.delivery_id)
            for one in verdict.objections
        ],
    )
