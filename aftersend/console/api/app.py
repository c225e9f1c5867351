"""The query API: an ASGI app that a worker serves beside its probes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aftersend.console.api.backend import DeliveryReader, RowReader
from aftersend.console.api.forward import EXPLAIN_SECONDS, FORWARDED, SECONDS, Forwarder
from aftersend.console.api.routes import (
    DEFAULT_LIMIT,
    MAX_ADDRESS,
    MAX_BODY,
    MAX_CURSOR,
    MAX_LIMIT,
    PREFIX,
    ROUTES,
    Route,
    openapi,
)
from aftersend.console.api.suppression import Caller, SuppressionChecks
from aftersend.console.auth import OPERATOR, TokenAuth
from aftersend.console.errors import ApiError, ErrorCode
from aftersend.publish.kpis import Kpis
from aftersend.publish.redis.reader import ORDERS, PageKey
from aftersend.schemas.times import iso
from aftersend.services import answers, public_records
from aftersend.services.explanations import ExplainOptions, time_of, views_of

log = structlog.get_logger(__name__)

_MAX_TARGET: Final = 4096
_MAX_QUERY_FIELDS: Final = 10
#: For the whole of what is posted.
_BODY_SECONDS: Final = 10.0
_BOOLEANS: Final = {"true": True, "1": True, "": True, "false": False, "0": False}
_encode: Final = msgspec.json.Encoder().encode
#: Numbers change by the second, and what is masked for one is not for another.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: Where a body is not read to its end.
_CLOSE: Final = {"Connection": "close"}


class ApiRequest(msgspec.Struct):
    """A request that is let in, taken apart."""

    route: Route
    #: By the names in the route's path.
    names: dict[str, str]
    query: dict[str, str]
    role: str
    request: Request
    #: As it came.
    path: str

    @property
    def raw_query(self) -> str:
        """The query as it came."""
        return bytes(self.request.scope.get("query_string", b"")).decode("latin-1")


class Api:
    """Answers questions.

    Args:
        auth: who may ask.
        deliveries: reads KPIs.
        rows: reads rows.
        version: of Aftersend.
    """

    def __init__(self, auth: TokenAuth, deliveries: DeliveryReader, rows: RowReader, version: str) -> None:
        self._auth = auth
        self._deliveries = deliveries
        self._rows = rows
        self._forwarder = Forwarder()
        self._checks = SuppressionChecks(rows, self._forwarder)
        self._document = _encode(openapi(version))
        self._handlers: dict[str, Callable[[ApiRequest], Awaitable[Response]]] = {
            "openapi": self._openapi,
            "deliveries": self._list,
            "delivery": self._one,
            "row": self._row,
            "recipient": self._recipient,
            "explanation": self._explanation,
            "suppression": self._suppression,
        }

    async def close(self) -> None:
        """Close connections to other workers."""
        await self._forwarder.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            response = await self._answer(Request(scope, receive))
        except ApiError as error:
            problem = answers.ApiFailure(error=answers.ApiProblem(code=error.code, message=error.message))
            response = _json(problem, error.status, error.headers)
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._auth.on:
            message = "the query API is off: set api_tokens"
            raise ApiError(ErrorCode.API_OFF, message)
        raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        raw_query: bytes = request.scope.get("query_string", b"")
        if len(raw_path) + len(raw_query) > _MAX_TARGET:
            message = f"path and query are longer than {_MAX_TARGET} bytes"
            raise ApiError(ErrorCode.URI_TOO_LONG, message)
        route, names = _find(raw_path)
        role = ""
        if not route.public:
            role = self._auth.role(request.headers.get("authorization"), request.headers.get("host"))
        if request.method not in route.methods:
            allowed = ", ".join(route.methods)
            message = f"here there is nothing but {allowed}"
            raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, message, {"Allow": allowed})
        asked = ApiRequest(route, names, _query(raw_query, route), role, request, raw_path.decode("latin-1"))
        return await self._handlers[route.handler](asked)

    # KPIs: from Redis, by any process.

    async def _openapi(self, _asked: ApiRequest) -> Response:
        return Response(self._document, media_type="application/json", headers=_HEADERS)

    async def _list(self, asked: ApiRequest) -> Response:
        limit = _limit(asked.query.get("limit"))
        order = asked.query.get("sort", ORDERS[0])
        if order not in ORDERS:
            message = f"sort is one of {', '.join(ORDERS)}"
            raise ApiError(ErrorCode.INVALID_PARAMETER, message)
        after = _position(asked.query["after"]) if "after" in asked.query else None
        page = await self._deliveries.page(order, after, limit)
        answer = answers.ApiDeliveries(deliveries=[_delivery(kpis) for kpis in page.deliveries], total=page.total)
        if page.next is not None:
            answer.next = _cursor(page.next)
        return _json(answer)

    async def _one(self, asked: ApiRequest) -> Response:
        delivery_id = _delivery_id(asked)
        kpis = await self._deliveries.read(delivery_id)
        if kpis is None:
            message = "nothing was heard of this delivery, or nothing for so long that it has left Redis"
            raise ApiError(ErrorCode.UNKNOWN_DELIVERY, message)
        return _json(_delivery(kpis))

    # Rows: from the worker that owns the recipient's partition.

    async def _row(self, asked: ApiRequest) -> Response:
        delivery_id, recipient = _delivery_id(asked), self._address(asked)
        if (elsewhere := await self._elsewhere(asked, recipient)) is not None:
            return elsewhere
        state = await self._rows.row(delivery_id, recipient)
        if state is None:
            message = "there is no such recipient in this delivery"
            raise ApiError(ErrorCode.UNKNOWN_ROW, message)
        return _for(asked.role, public_records.shown(state))

    async def _recipient(self, asked: ApiRequest) -> Response:
        recipient = self._address(asked)
        if (elsewhere := await self._elsewhere(asked, recipient)) is not None:
            return elsewhere
        held = await self._rows.recipient(recipient)
        if not held.rows and held.contact is None:
            message = "nothing is known of this address"
            raise ApiError(ErrorCode.UNKNOWN_RECIPIENT, message)
        contact = public_records.shown(held.contact) if held.contact is not None else None
        rows = [public_records.shown(state) for state in held.rows]
        return _for(asked.role, {"recipient": recipient, "deliveries": rows, "contact": contact})

    async def _explanation(self, asked: ApiRequest) -> Response:
        delivery_id, recipient = _delivery_id(asked), self._address(asked)
        options = _explain_options(asked.query)
        if options.raw and asked.role != OPERATOR:
            message = "raw records are full of personal data: for operators only"
            raise ApiError(ErrorCode.FORBIDDEN, message)
        if (elsewhere := await self._elsewhere(asked, recipient)) is not None:
            return elsewhere
        explanation = await self._rows.explain(delivery_id, recipient, options)
        if explanation is None:
            message = f"there {'is' if options.as_of is None else 'was'} no such recipient in this delivery"
            raise ApiError(ErrorCode.UNKNOWN_ROW, message)
        return _for(asked.role, msgspec.to_builtins(explanation))

    async def _suppression(self, asked: ApiRequest) -> Response:
        headers = asked.request.headers
        asker = Caller(asked.path, headers.get("authorization"), FORWARDED in headers, asked.role != OPERATOR)
        self._checks.enter()
        try:
            return _json(await self._checks.answer(await _body(asked.request), asker))
        finally:
            self._checks.leave()

    def _address(self, asked: ApiRequest) -> str:
        given = asked.names["recipient"]
        if len(given) > MAX_ADDRESS:
            message = f"an address has at most {MAX_ADDRESS} characters"
            raise ApiError(ErrorCode.INVALID_ADDRESS, message)
        try:
            return self._rows.normalise(given)
        except ValueError as error:
            message = f"this is no address: {error}"
            raise ApiError(ErrorCode.INVALID_ADDRESS, message) from error

    async def _elsewhere(self, asked: ApiRequest, recipient: str) -> Response | None:
        """Return the owner's answer; None: this process is the owner, and answers itself.

        Raises:
            ApiError: 503, if nobody surely is.
        """
        if self._rows.is_here(recipient):
            return None
        if FORWARDED in asked.request.headers:
            message = "the recipient's partition was here a moment ago, and is on its way to another worker"
            raise ApiError(ErrorCode.PARTITION_MOVING, message)
        url = self._rows.owner(recipient)
        if not url:
            message = "the recipient's partition is on its way to a worker"
            raise ApiError(ErrorCode.PARTITION_MOVING, message)
        seconds = EXPLAIN_SECONDS if asked.route.handler == "explanation" else SECONDS
        authorization = asked.request.headers.get("authorization")
        return await self._forwarder.ask(url, asked.path, asked.raw_query, authorization, seconds=seconds)


def _for(role: str, answer: dict[str, Any]) -> Response:
    return _json(answer if role == OPERATOR else public_records.masked(answer))


def _json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_encode(answer), status, {**_HEADERS, **(headers or {})}, "application/json")


async def _body(request: Request) -> bytes:
    """Return what was posted.

    Raises:
        ApiError: if it is no JSON by its headers, too large, too slow, or its sender has gone.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
        message = "post JSON, not compressed: Content-Type: application/json"
        raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, message, _CLOSE)
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    message = f"more than {MAX_BODY} bytes: ask about fewer addresses at once"
                    raise ApiError(ErrorCode.CONTENT_TOO_LARGE, message, _CLOSE)
    except TimeoutError as error:
        message = f"not all of it came within {_BODY_SECONDS:g} s"
        raise ApiError(ErrorCode.REQUEST_TIMEOUT, message, _CLOSE) from error
    except ClientDisconnect as error:
        message = "only a part of it came"
        raise ApiError(ErrorCode.INVALID_BODY, message) from error
    return bytes(body)


def _find(raw_path: bytes) -> tuple[Route, dict[str, str]]:
    """Return the route of a path, and what stands for its names.

    Paths are taken apart before they are decoded: an id may have a slash in it.
    """
    head, behind, rest = raw_path.partition(PREFIX.encode() + b"/")
    segments = rest.split(b"/") if behind and not head else []
    for route in ROUTES:
        if len(route.segments) == len(segments) and all(
            wanted.startswith("{") or wanted.encode() == given
            for wanted, given in zip(route.segments, segments, strict=True)
        ):
            return route, {
                wanted.strip("{}"): _decoded(given)
                for wanted, given in zip(route.segments, segments, strict=True)
                if wanted.startswith("{")
            }
    message = f"there is no such path; {PREFIX}/openapi.json has them all"
    raise ApiError(ErrorCode.NOT_FOUND, message)


def _decoded(given: bytes) -> str:
    try:
        return unquote_to_bytes(given).decode()
    except UnicodeDecodeError as error:
        message = "the path is no percent-encoded UTF-8"
        raise ApiError(ErrorCode.INVALID_ENCODING, message) from error


def _query(raw: bytes, route: Route) -> dict[str, str]:
    try:
        fields = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
        )
    except UnicodeError as error:
        message = "the query is no percent-encoded UTF-8"
        raise ApiError(ErrorCode.INVALID_ENCODING, message) from error
    except ValueError as error:
        message = f"more than {_MAX_QUERY_FIELDS} parameters"
        raise ApiError(ErrorCode.INVALID_PARAMETER, message) from error
    known = {parameter.name for parameter in route.query}
    query: dict[str, str] = {}
    for name, value in fields:
        if name not in known or name in query:
            what = "given twice" if name in query else "none of this path's"
            message = f"parameter {name[:100]!r} is {what}"
            raise ApiError(ErrorCode.INVALID_PARAMETER, message)
        query[name] = value
    return query


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT_LIMIT
    if (
        not (given.isascii() and given.isdigit() and len(given) <= len(str(MAX_LIMIT)))
        or not 1 <= int(given) <= MAX_LIMIT
    ):
        message = f"limit is a number from 1 to {MAX_LIMIT}"
        raise ApiError(ErrorCode.INVALID_PARAMETER, message)
    return int(given)


def _boolean(name: str, given: str) -> bool:
    if given not in _BOOLEANS:
        message = f"{name} is true or false"
        raise ApiError(ErrorCode.INVALID_PARAMETER, message)
    return _BOOLEANS[given]


def _explain_options(query: Mapping[str, str]) -> ExplainOptions:
    try:
        as_of = time_of(query["as_of"]) if "as_of" in query else None
        public_records = views_of(query["view"].split(",")) if "view" in query else ()
    except ValueError as error:
        message = f"as_of or view: {error}"
        raise ApiError(ErrorCode.INVALID_PARAMETER, message) from error
    return ExplainOptions(as_of, public_records, _boolean("raw", query.get("raw", "false")))


def _delivery_id(asked: ApiRequest) -> str:
    delivery_id = asked.names["delivery_id"]
    if len(delivery_id) > answers.MAX_DELIVERY or any(c < " " or c == "\x7f" for c in delivery_id):
        message = f"a delivery's id has at most {answers.MAX_DELIVERY} characters, and no control characters"
        raise ApiError(ErrorCode.INVALID_DELIVERY, message)
    return delivery_id


def _cursor(position: PageKey) -> str:
    return base64.urlsafe_b64encode(_encode(position)).decode().rstrip("=")


def _position(given: str) -> PageKey:
    try:
        if len(given) > MAX_CURSOR:
            raise ValueError("too long")
        encoded = given.encode("ascii")
        decoded = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        at, delivery_id = msgspec.json.decode(decoded, type=tuple[float, str])
        if not math.isfinite(at):
            raise ValueError("not finite")
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        message = "after is none that this API has given"
        raise ApiError(ErrorCode.INVALID_PARAMETER, message) from error
    return at, delivery_id


def _delivery(kpis: Kpis) -> answers.ApiDelivery:
    return answers.ApiDelivery(
        delivery_id=kpis.delivery_id,
        started_at=iso(kpis.started_at),
        updated_at=iso(kpis.updated_at),
        kpis=kpis.kpis,
        rates=kpis.rates(),
        statuses=kpis.statuses,
        decisions=kpis.decisions,
    )
