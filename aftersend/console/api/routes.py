"""The API's routes as data: what is served, and the OpenAPI document that says so."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from aftersend.console.errors import STATUSES, ErrorCode
from aftersend.publish.redis.reader import ORDERS
from aftersend.services.answers import (
    MAX_ADDRESSES,
    MAX_DELIVERY,
    ApiDeliveries,
    ApiDelivery,
    ApiExplanation,
    ApiFailure,
    ApiRecipient,
    SuppressionAnswer,
    SuppressionRequest,
)
from aftersend.services.explanations import ALL_VIEWS
from aftersend.services.public_records import PublicRow

PREFIX: Final = "/api/v1"
MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
MAX_CURSOR: Final = 4000
MAX_ADDRESS: Final = 512
#: What may be posted, bytes: the most addresses that a check may ask about, of a length that hardly any has.
MAX_BODY: Final = 4 * 1024 * 1024


class Parameter(NamedTuple):
    """One parameter of a route."""

    name: str
    description: str
    schema: dict[str, Any]


class Route(NamedTuple):
    """One route."""

    #: Behind the prefix; `{delivery_id}` and `{recipient}` stand for one segment each.
    path: str
    #: Of `aftersend.console.api.app.Api`.
    handler: str
    summary: str
    answer: Any
    query: tuple[Parameter, ...] = ()
    #: Those that it may answer besides what every route may.
    codes: tuple[ErrorCode, ...] = ()
    #: It is answered without a token.
    public: bool = False
    #: The type of the JSON that is posted; None: the route is a GET.
    question: Any = None

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def methods(self) -> tuple[str, ...]:
        """What it is asked with."""
        return ("GET", "HEAD") if self.question is None else ("POST",)


_ROW_CODES: Final = (
    ErrorCode.INVALID_ADDRESS,
    ErrorCode.PARTITION_MOVING,
    ErrorCode.OWNER_UNREACHABLE,
    ErrorCode.OVERLOADED,
)
_ALWAYS: Final = (
    ErrorCode.INVALID_PARAMETER,
    ErrorCode.INVALID_ENCODING,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.API_OFF,
    ErrorCode.URI_TOO_LONG,
)

ROUTES: Final = (
    Route("/openapi.json", "openapi", "This document", dict[str, Any], public=True),
    Route(
        "/deliveries",
        "deliveries",
        "The deliveries with their KPIs, those that something was heard of last at first",
        ApiDeliveries,
        (
            Parameter(
                "limit", "how many at most", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
            ),
            Parameter("after", "`next` of the page before", {"type": "string", "maxLength": MAX_CURSOR}),
            Parameter(
                "sort",
                "the last ones first; by delivery_id: in its order",
                {"type": "string", "enum": list(ORDERS), "default": ORDERS[0]},
            ),
        ),
        (ErrorCode.REDIS_UNAVAILABLE,),
    ),
    Route(
        "/deliveries/{delivery_id}",
        "delivery",
        "One delivery with its KPIs",
        ApiDelivery,
        codes=(ErrorCode.INVALID_DELIVERY, ErrorCode.UNKNOWN_DELIVERY, ErrorCode.REDIS_UNAVAILABLE),
    ),
    Route(
        "/deliveries/{delivery_id}/recipients/{recipient}",
        "row",
        "What became of one recipient of one delivery",
        PublicRow,
        codes=(*_ROW_CODES, ErrorCode.INVALID_DELIVERY, ErrorCode.UNKNOWN_ROW),
    ),
    Route(
        "/deliveries/{delivery_id}/recipients/{recipient}/explanation",
        "explanation",
        "Every event of one recipient of one delivery, what each did and why",
        ApiExplanation,
        (
            Parameter("raw", "with the raw records; for operators only", {"type": "boolean", "default": False}),
            Parameter(
                "view", f"names of views, divided by commas, or {ALL_VIEWS}: with their statuses", {"type": "string"}
            ),
            Parameter(
                "as_of",
                "as it was then: ISO 8601 with its zone, or seconds since 1970",
                {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}]},
            ),
        ),
        (*_ROW_CODES, ErrorCode.INVALID_DELIVERY, ErrorCode.UNKNOWN_ROW, ErrorCode.KAFKA_UNAVAILABLE),
    ),
    Route(
        "/recipients/{recipient}",
        "recipient",
        "All deliveries of one address, and what is held against it",
        ApiRecipient,
        codes=(*_ROW_CODES, ErrorCode.UNKNOWN_RECIPIENT),
    ),
    Route(
        "/suppression/check",
        "suppression",
        f"For each of up to {MAX_ADDRESSES} addresses whether it may be mailed, and if not why",
        SuppressionAnswer,
        codes=(
            ErrorCode.INVALID_BODY,
            ErrorCode.REQUEST_TIMEOUT,
            ErrorCode.CONTENT_TOO_LARGE,
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            ErrorCode.PARTITION_MOVING,
            ErrorCode.OWNER_UNREACHABLE,
            ErrorCode.OVERLOADED,
        ),
        question=SuppressionRequest,
    ),
)

#: Names in the OpenAPI document, by class: published, so they stay when a class gets another name.
_COMPONENT_NAMES: Final = {
    "ApiDeliveries": "Deliveries",
    "ApiDelivery": "Delivery",
    "ApiExplanation": "Explanation",
    "ApiFailure": "Failed",
    "ApiObjection": "Objection",
    "ApiProblem": "Problem",
    "ApiRawRecord": "RawRecord",
    "ApiRecipient": "Recipient",
    "ApiRecordPosition": "RecordPlace",
    "ApiStatusChange": "Shown",
    "ApiStep": "Step",
    "RateValue": "Rate",
    "SuppressionAnswer": "Suppression",
    "SuppressionRequest": "SuppressionQuestion",
    "CheckedAddress": "Checked",
}
_REFERENCE: Final = "#/components/schemas/"

_IN_PATH: Final = {
    "delivery_id": Parameter(
        "delivery_id",
        "the delivery's id, percent-encoded; empty for what belongs to none",
        {"type": "string", "maxLength": MAX_DELIVERY},
    ),
    "recipient": Parameter(
        "recipient", "the address in any spelling, percent-encoded", {"type": "string", "maxLength": MAX_ADDRESS}
    ),
}


def openapi(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document.

    Args:
        version: of Aftersend.
    """
    answers = [route.answer for route in ROUTES]
    questions = [route.question for route in ROUTES if route.question is not None]
    schemas, components = msgspec.json.schema_components(
        [*answers, ApiFailure, *questions], ref_template=_REFERENCE + "{name}"
    )
    schemas = tuple(_with_component_names(schema) for schema in schemas)
    components = {_COMPONENT_NAMES.get(name, name): _with_component_names(of) for name, of in components.items()}
    of_routes, failed, of_questions = schemas[: len(ROUTES)], schemas[len(ROUTES)], iter(schemas[len(ROUTES) + 1 :])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aftersend query API",
            "version": version,
            "description": "KPIs of deliveries and the state of recipients. Roles: `viewer` sees personal data masked, "
            "`operator` sees all. While a partition moves between workers the answer is 503 with Retry-After, never a "
            "number that may be wrong.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": {
            route.path: {
                route.methods[0].lower(): _operation(
                    route, schema, failed, next(of_questions) if route.question is not None else None
                )
            }
            for route, schema in zip(ROUTES, of_routes, strict=True)
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    route: Route, schema: dict[str, Any], failed: dict[str, Any], question: dict[str, Any] | None
) -> dict[str, Any]:
    names = [segment.strip("{}") for segment in route.segments if segment.startswith("{")]
    parameters = [_described(_IN_PATH[name], "path") for name in names]
    parameters += [_described(parameter, "query") for parameter in route.query]
    operation: dict[str, Any] = {
        "operationId": route.handler,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {"200": {"description": "the answer", "content": {"application/json": {"schema": schema}}}},
    }
    if question is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": question}}}
    by_status: dict[int, list[ErrorCode]] = {}
    for code in (*_ALWAYS, *route.codes):
        by_status.setdefault(STATUSES[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        operation["responses"][str(status)] = {
            "description": ", ".join(codes),
            "content": {"application/json": {"schema": failed}},
        }
    if route.public:
        operation["security"] = []
    return operation


def _described(parameter: Parameter, place: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": place,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if place == "path":
        described["required"] = True
    return described


def _with_component_names(schema: Any) -> Any:
    """Return a schema whose titles and references have the published names."""
    if isinstance(schema, list):
        return [_with_component_names(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {name: _with_component_names(part) for name, part in schema.items()}
    if isinstance(title := schema.get("title"), str):
        renamed["title"] = _COMPONENT_NAMES.get(title, title)
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.removeprefix(_REFERENCE)
        renamed["$ref"] = _REFERENCE + _COMPONENT_NAMES.get(name, name)
    return renamed
