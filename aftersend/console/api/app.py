"""Query API as an ASGI app, which a worker serves beside its health checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aftersend.console.api.backend import DeliveryReader, RowReader
from aftersend.console.api.forward import EXPLAIN_SECONDS, FORWARDED, SECONDS, Forwarder
from aftersend.console.api.requests import (
    ApiRequest,
    decode_cursor,
    delivery_id_of,
    encode_cursor,
    find_route,
    parse_explain_options,
    parse_language,
    parse_limit,
    parse_query,
    read_body,
)
from aftersend.console.api.routes import MAX_ADDRESS, openapi
from aftersend.console.api.suppression import Caller, SuppressionChecks
from aftersend.console.auth import OPERATOR, TokenAuth
from aftersend.console.errors import ApiError, ErrorCode
from aftersend.locale.languages import LanguageCode
from aftersend.printable import printable_json
from aftersend.publish.kpis import Kpis
from aftersend.publish.redis.reader import ORDERS
from aftersend.rules.contact.suppression import NOT_SENT_REASON_OF
from aftersend.schemas.times import iso
from aftersend.services import answers
from aftersend.services.masking import masked
from aftersend.services.names.labels import ApiLabels, labels_of, with_labels
from aftersend.services.public_records import to_public

#: Longest path and query together, bytes.
_MAX_TARGET: Final = 4096
_encode: Final = msgspec.json.Encoder().encode
#: Never cached: numbers change within seconds, and an answer depends on the caller's role.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The query API.

    Args:
        auth: authenticates requests.
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
            failure = answers.ApiFailure(error=answers.ApiProblem(code=error.code, message=error.message))
            response = _json(failure, error.status, error.headers)
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._auth.on:
            raise ApiError(ErrorCode.API_OFF, "the query API is off: set AFTERSEND_API_TOKENS")
        raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        raw_query: bytes = request.scope.get("query_string", b"")
        if len(raw_path) + len(raw_query) > _MAX_TARGET:
            raise ApiError(ErrorCode.URI_TOO_LONG, f"path and query are longer than {_MAX_TARGET} bytes")
        route, names = find_route(raw_path)
        role = ""
        if not route.public:
            role = self._auth.role(request.headers.get("authorization"), request.headers.get("host"))
        if request.method not in route.methods:
            allowed = ", ".join(route.methods)
            raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, f"this path allows {allowed} only", {"Allow": allowed})
        query = parse_query(raw_query, route)
        language = parse_language(query, request.headers.get("accept-language", ""))
        parsed = ApiRequest(route, names, query, role, request, raw_path.decode("latin-1"), language)
        return await self._handlers[route.handler](parsed)

    # KPIs, read from Redis by any process.

    async def _openapi(self, _request: ApiRequest) -> Response:
        return Response(self._document, media_type="application/json", headers=_HEADERS)

    async def _list(self, request: ApiRequest) -> Response:
        limit = parse_limit(request.query.get("limit"))
        order = request.query.get("sort", ORDERS[0])
        if order not in ORDERS:
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"sort must be one of {', '.join(ORDERS)}")
        after = decode_cursor(request.query["after"]) if "after" in request.query else None
        page = await self._deliveries.page(order, after, limit)
        answer = answers.ApiDeliveries(deliveries=[_delivery(kpis) for kpis in page.deliveries], total=page.total)
        if page.next is not None:
            answer.next = encode_cursor(page.next)
        return _shown(request, msgspec.to_builtins(answer))

    async def _one(self, request: ApiRequest) -> Response:
        kpis = await self._deliveries.read(delivery_id_of(request))
        if kpis is None:
            raise ApiError(
                ErrorCode.UNKNOWN_DELIVERY, "this delivery has no events, or has expired in Redis (redis_expiry_days)"
            )
        return _shown(request, msgspec.to_builtins(_delivery(kpis)))

    # Rows, read by the worker that owns the recipient's partition.

    async def _row(self, request: ApiRequest) -> Response:
        delivery_id, recipient = delivery_id_of(request), self._address(request)
        if (forwarded := await self._forward(request, recipient)) is not None:
            return forwarded
        state = await self._rows.row(delivery_id, recipient)
        if state is None:
            raise ApiError(ErrorCode.UNKNOWN_ROW, "this delivery has no such recipient")
        return _shown(request, to_public(state))

    async def _recipient(self, request: ApiRequest) -> Response:
        recipient = self._address(request)
        if (forwarded := await self._forward(request, recipient)) is not None:
            return forwarded
        record = await self._rows.recipient(recipient)
        if not record.rows and record.contact is None:
            raise ApiError(ErrorCode.UNKNOWN_RECIPIENT, "nothing is stored about this address")
        contact = to_public(record.contact) if record.contact is not None else None
        rows = [to_public(state) for state in record.rows]
        return _shown(request, {"recipient": recipient, "deliveries": rows, "contact": contact})

    async def _explanation(self, request: ApiRequest) -> Response:
        delivery_id, recipient = delivery_id_of(request), self._address(request)
        options = parse_explain_options(request.query)
        if options.raw and request.role != OPERATOR:
            raise ApiError(ErrorCode.FORBIDDEN, "raw records contain personal data: the role must be operator")
        if (forwarded := await self._forward(request, recipient)) is not None:
            return forwarded
        explanation = await self._rows.explain(delivery_id, recipient, options)
        if explanation is None:
            verb = "has" if options.as_of is None else "had"
            raise ApiError(ErrorCode.UNKNOWN_ROW, f"this delivery {verb} no such recipient")
        return _shown(request, msgspec.to_builtins(explanation))

    async def _suppression(self, request: ApiRequest) -> Response:
        headers = request.http.headers
        caller = Caller(request.path, headers.get("authorization"), FORWARDED in headers, request.role != OPERATOR)
        self._checks.enter()
        try:
            answer = await self._checks.answer(await read_body(request.http), caller)
            if request.language is not None:
                answer.labels = _labels_of_check(answer, request.language)
            return _json(answer, headers=_language_header(request.language))
        finally:
            self._checks.leave()

    def _address(self, request: ApiRequest) -> str:
        given = request.names["recipient"]
        if len(given) > MAX_ADDRESS:
            raise ApiError(ErrorCode.INVALID_ADDRESS, f"an address has at most {MAX_ADDRESS} characters")
        try:
            return self._rows.normalise(given)
        except ValueError as error:
            raise ApiError(ErrorCode.INVALID_ADDRESS, f"not an address: {error}") from error

    async def _forward(self, request: ApiRequest, recipient: str) -> Response | None:
        """Return the answer of the worker that owns the recipient; None: this process owns it.

        Raises:
            ApiError: 503, if no worker certainly does.
        """
        if self._rows.is_here(recipient):
            return None
        url = "" if FORWARDED in request.http.headers else self._rows.owner(recipient)
        if not url:
            raise ApiError(ErrorCode.PARTITION_MOVING, "the recipient's partition is moving to another worker")
        seconds = EXPLAIN_SECONDS if request.route.handler == "explanation" else SECONDS
        return await self._forwarder.ask(url, request.path, request.raw_query, request.http.headers, seconds=seconds)


def _shown(request: ApiRequest, answer: dict[str, Any]) -> Response:
    """Return an answer as the caller's role sees it, with labels in its language."""
    seen = answer if request.role == OPERATOR else masked(answer)
    return _json(with_labels(seen, request.language), headers=_language_header(request.language))


def _language_header(language: LanguageCode | None) -> dict[str, str]:
    return {} if language is None else {"Content-Language": language}


def _labels_of_check(answer: answers.SuppressionAnswer, language: LanguageCode) -> ApiLabels:
    """Return the labels of the reasons that occur; the answer itself may have thousands of addresses."""
    reasons = {one.reason for result in answer.results for one in result.objections}
    named = [{"reason": reason, "not_sent": NOT_SENT_REASON_OF[reason]} for reason in sorted(reasons)]
    return labels_of(named, language)


def _json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(printable_json(_encode(answer)), status, {**_HEADERS, **(headers or {})}, "application/json")


def _delivery(kpis: Kpis) -> answers.ApiDelivery:
    return answers.ApiDelivery(
        delivery_id=kpis.delivery_id,
        started_at=iso(kpis.started_at),
        updated_at=iso(kpis.updated_at),
        kpis=kpis.kpis,
        rates=kpis.rates(),
        statuses=kpis.statuses,
        decisions=kpis.decisions,
        silent=kpis.silent,
    )
