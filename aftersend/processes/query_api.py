"""The query API of a worker: `console`'s interfaces, implemented on the worker's stores, Redis and Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from redis.exceptions import RedisError
from starlette.routing import Mount

from aftersend.agents.track import TrackState
from aftersend.config.sections.api import MIN_TOKEN
from aftersend.config.settings import Settings
from aftersend.console.api.app import Api
from aftersend.console.api.backend import AddressRecord
from aftersend.console.auth import TokenAuth
from aftersend.console.errors import ApiError, ErrorCode
from aftersend.engine.faust.app import WorkerApp
from aftersend.errors import SettingsError
from aftersend.publish.kpis import Kpis, silent_kpis
from aftersend.publish.redis.reader import DeliveryPage, KpiReader, PageKey
from aftersend.rules.contact.suppression import SuppressionResult, check
from aftersend.schemas.partitioning import partition_of
from aftersend.services.answers import ApiExplanation
from aftersend.services.audience.addresses import read_address
from aftersend.services.explain.answer import ExplainOptions
from aftersend.services.explain.read import locate_row, read_explanation
from aftersend.services.installation import codec
from aftersend.services.public_records import DatedState, dated
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise
from aftersend.tables.codec.public import decode_state
from aftersend.tables.codec.stored import decode_row, unpack_contact
from aftersend.tables.explain import StoredRow

log = structlog.get_logger(__name__)

_DAY: Final = 86_400.0

#: Rows that are read without a pause: less than a millisecond, so that the fold does not wait.
_ROWS_PER_PAUSE: Final = 200
_MAY_BE_MAILED: Final = check(None)
#: Explanations that may wait for the one in progress; each reads a partition of the events topic.
_MAX_WAITING: Final = 8
#: Time for one explanation with its wait, seconds: most HTTP clients give up then.
_EXPLAIN_SECONDS: Final = 30.0


class StoredRows:
    """Rows of a worker's own partitions (a `aftersend.console.api.backend.RowReader`).

    Args:
        settings: of the worker.
        app: returns the worker's app, None before it exists.
    """

    def __init__(self, settings: Settings, app: Callable[[], WorkerApp | None]) -> None:
        self._settings = settings
        self._app = app
        self._codec = codec(settings)
        self._explaining = asyncio.Semaphore(1)
        self._waiting = 0
        #: Number of partitions of the events topic; 0: not known yet.
        self.partitions = 0

    def normalise(self, address: str) -> str:
        """Return an address in the spelling of the tables; raises ValueError."""
        try:
            return normalise(address)
        except SourceError as error:
            raise ValueError(str(error)) from error

    def key_of(self, address: str) -> str:
        """Return an address in the spelling of the tables; "": the text is not exactly one address."""
        return read_address(address)

    def partition(self, recipient: str) -> int:
        """Return the partition of a recipient."""
        if not self.partitions:
            message = "this worker has not read the topics yet"
            raise ApiError(ErrorCode.PARTITION_MOVING, message)
        return self._partition(recipient)

    async def check_suppression(self, recipients: Sequence[str], message_type: str) -> list[SuppressionResult]:
        """Return whether mail may be sent to each recipient; all of them are in one partition."""
        scope = self._settings.unsubscribe_scope
        state = self._owned_state(recipients[0])
        found: list[SuppressionResult] = []
        for at in range(0, len(recipients), _ROWS_PER_PAUSE):
            found += [
                _MAY_BE_MAILED if stored is None else check(unpack_contact(stored), message_type, scope)
                for stored in state.store.peek_contacts(recipients[at : at + _ROWS_PER_PAUSE])
            ]
            self._verify_unchanged(recipients[0], state)
            await asyncio.sleep(0)
        return found

    def is_here(self, recipient: str) -> bool:
        """Return whether this worker certainly owns the recipient's partition."""
        return self._state(recipient) is not None

    def owner(self, recipient: str) -> str:
        """Return the URL of the owner of the recipient's partition; "": unknown, or this worker."""
        app = self._app()
        if app is None or not self.partitions:
            return ""
        url = app.partitions.membership.url_of(self._partition(recipient))
        return "" if url == app.partitions.membership.url else url

    async def row(self, delivery_id: str, recipient: str) -> DatedState | None:
        """Return a committed row; None: there is none."""
        state = self._owned_state(recipient)
        stored = state.store.peek(delivery_id, recipient)
        self._verify_unchanged(recipient, state)
        return self._decode_row(delivery_id, recipient, stored) if stored is not None else None

    async def recipient(self, recipient: str) -> AddressRecord:
        """Return all committed rows of an address, last change first, and its contact.

        Each row is consistent, but a batch may be committed between two of them.
        """
        state = self._owned_state(recipient)
        rows = []
        for number, delivery_id in enumerate(state.store.deliveries(), 1):
            stored = state.store.peek(delivery_id, recipient)
            if stored is not None:
                rows.append(self._decode_row(delivery_id, recipient, stored))
            if not number % _ROWS_PER_PAUSE:
                await asyncio.sleep(0)
                self._verify_unchanged(recipient, state)
        contact = state.store.contact(recipient)
        self._verify_unchanged(recipient, state)
        rows.sort(key=lambda row: -row.updated_at)
        return AddressRecord(rows, unpack_contact(contact) if contact is not None else None)

    async def explain(self, delivery_id: str, recipient: str, options: ExplainOptions) -> ApiExplanation | None:
        """Return the explanation of a row; None: the delivery is unknown."""
        state = self._owned_state(recipient)
        stored, partial = state.store.peek(delivery_id, recipient), state.store.partial(delivery_id)
        self._verify_unchanged(recipient, state)
        if stored is None and partial is None:
            return None
        known = StoredRow(decode_row(stored) if stored is not None else None, terms=state.store.terms.get(delivery_id))
        if partial is not None:
            known.started_at, known.archived = partial.started_at, partial.archived
        where = locate_row(self._settings, state.partition, delivery_id, recipient)
        if self._waiting >= _MAX_WAITING:
            message = "too many explanations at once"
            raise ApiError(ErrorCode.OVERLOADED, message)
        self._waiting += 1
        try:
            async with asyncio.timeout(_EXPLAIN_SECONDS), self._explaining:
                found = await read_explanation(where, known, options)
        except TimeoutError as error:
            message = f"not done after {_EXPLAIN_SECONDS:g} s: `aftersend explain` has no such limit"
            raise ApiError(ErrorCode.OVERLOADED, message) from error
        except (KafkaError, OSError) as error:
            message = f"Kafka can't be read: {type(error).__name__}"
            raise ApiError(ErrorCode.KAFKA_UNAVAILABLE, message) from error
        finally:
            self._waiting -= 1
        return found.as_json() if found.explanation.steps or found.state is not None else None

    def silent_deliveries(self) -> Mapping[str, Kpis]:
        """Return the declared deliveries without an event in a partition of this worker, by id.

        Every partition has every declaration. One that is older than Redis keeps deliveries is left out: its delivery
        may have had events in other partitions, which Redis has forgotten.
        """
        oldest = time.time() - self._settings.redis_expiry_days * _DAY
        for partition in range(self.partitions):
            state = self._state_of(partition)
            if state is not None:
                store = state.store
                return {
                    delivery_id: silent_kpis(delivery_id, terms.start, terms.at)
                    for delivery_id, terms in store.terms.items()
                    if terms.at > oldest and store.partial(delivery_id) is None
                }
        return {}

    def _partition(self, recipient: str) -> int:
        return partition_of(recipient, self.partitions)

    def _state(self, recipient: str) -> TrackState | None:
        return self._state_of(self._partition(recipient)) if self.partitions else None

    def _state_of(self, partition: int) -> TrackState | None:
        app = self._app()
        if app is None:
            return None
        state: Any = app.partitions.state_of(TP(self._settings.topics.events, partition))
        return state if isinstance(state, TrackState) else None

    def _owned_state(self, recipient: str) -> TrackState:
        """Return the state of the recipient's partition.

        Raises:
            ApiError: if this worker does not certainly own it.
        """
        state = self._state(recipient)
        if state is None:
            message = "the recipient's partition is moving to another worker"
            raise ApiError(ErrorCode.PARTITION_MOVING, message)
        return state

    def _verify_unchanged(self, recipient: str, state: TrackState) -> None:
        """Check that this worker still owned the state after reading from it, even if the process was frozen.

        Raises:
            ApiError: if it may not have.
        """
        if self._owned_state(recipient) is not state:
            message = "the recipient's partition was taken over again meanwhile"
            raise ApiError(ErrorCode.PARTITION_MOVING, message)

    def _decode_row(self, delivery_id: str, recipient: str, stored: bytes) -> DatedState:
        row = decode_row(stored)
        return dated(decode_state(self._codec.state(delivery_id, recipient, row)), row)


class RedisDeliveries:
    """KPIs from Redis (a `aftersend.console.api.backend.DeliveryReader`).

    Args:
        reader: of Redis.
        silent: returns the declared deliveries that may have no event so far, by id.
    """

    def __init__(self, reader: KpiReader, silent: Callable[[], Mapping[str, Kpis]]) -> None:
        self._reader = reader
        self._silent = silent

    async def read(self, delivery_id: str) -> Kpis | None:
        """Return a delivery's KPIs; None: the delivery is unknown."""
        try:
            return await self._reader.read(delivery_id) or self._silent().get(delivery_id)
        except (RedisError, OSError, TimeoutError) as error:
            raise _redis_error(error) from error

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        """Return a page of deliveries."""
        try:
            return await self._reader.page(order, after, limit, self._silent())
        except (RedisError, OSError, TimeoutError) as error:
            raise _redis_error(error) from error


def _redis_error(error: BaseException) -> ApiError:
    return ApiError(ErrorCode.REDIS_UNAVAILABLE, f"Redis is unavailable: {type(error).__name__}")


class QueryApi:
    """The query API of one worker.

    Args:
        settings: of the worker.
        app: returns the worker's app, None before it exists.

    Raises:
        SettingsError: if the file of tokens can't be read.
    """

    def __init__(self, settings: Settings, app: Callable[[], WorkerApp | None]) -> None:
        self.rows = StoredRows(settings, app)
        self._reader = KpiReader(
            redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=5.0, socket_connect_timeout=2.0),
            settings.redis_prefix,
        )
        auth = TokenAuth(tokens_of(settings), open_to_all=settings.api_open)
        self._api = Api(
            auth, RedisDeliveries(self._reader, self.rows.silent_deliveries), self.rows, version("aftersend")
        )
        self.routes = [Mount("/api", self._api)]
        if settings.web_port:
            log.info(
                "query API" if auth.on else "query API is off: set AFTERSEND_API_TOKENS or AFTERSEND_API_TOKENS_FILE",
                reached_at=settings.reached_at,
                on=auth.on,
                tokens=not settings.api_open,
            )

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()
        await self._reader.close()


def tokens_of(settings: Settings) -> dict[str, str]:
    """Return the roles by token, from the settings and from their file.

    Raises:
        SettingsError: if the file can't be read.
    """
    tokens = dict(settings.api_tokens)
    if settings.api_tokens_file is not None:
        tokens |= _read(settings.api_tokens_file)
    return tokens


def _read(path: Path) -> dict[str, str]:
    name = f"setting 'api_tokens_file' (AFTERSEND_API_TOKENS_FILE): {path}"
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name} can't be read: {error}") from error
    tokens = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        token, *roles = words
        # The message must not quote the line, which is secret.
        if roles not in (["viewer"], ["operator"]) or len(token) < MIN_TOKEN:
            raise SettingsError(
                f"{name}, line {number}: a token of at least {MIN_TOKEN} characters, and viewer or operator"
            )
        tokens[token] = roles[0]
    return tokens
