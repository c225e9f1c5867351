"""Routes of the query API, and the OpenAPI document that is generated from them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from aftersend.console.errors import STATUSES, ErrorCode
from aftersend.locale.languages import LANGUAGES
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
from aftersend.services.explain.answer import ALL_VIEWS
from aftersend.services.public_records import PublicRow

PREFIX: Final = "/api/v1"
MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
MAX_CURSOR: Final = 4000
MAX_ADDRESS: Final = 512
#: Longest body of a POST, bytes: room for `MAX_ADDRESSES` addresses of a length that hardly any has.
MAX_BODY: Final = 4 * 1024 * 1024


class Parameter(NamedTuple):
    """One query or path parameter."""

    name: str
    description: str
    schema: dict[str, Any]


class Route(NamedTuple):
    """One route."""

    #: After the prefix; `{delivery_id}` and `{recipient}` are one segment each.
    path: str
    #: Key of `aftersend.console.api.app.Api`'s handlers, and the OpenAPI operation id.
    handler: str
    summary: str
    answer: Any
    query: tuple[Parameter, ...] = ()
    #: Error codes, in addition to those of every route.
    codes: tuple[ErrorCode, ...] = ()
    #: No token is required.
    public: bool = False
    #: Type of the JSON body; None: the route is a GET.
    question: Any = None

    @property
    def segments(self) -> tuple[str, ...]:
        """Segments of the path."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def methods(self) -> tuple[str, ...]:
        """Allowed methods."""
        return ("GET", "HEAD") if self.question is None else ("POST",)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Query parameters."""
        return self.query if self.public else (*self.query, LANGUAGE)


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

#: Of every route but the document's own.
LANGUAGE: Final = Parameter(
    "language",
    "language of the labels; by default the first one of `Accept-Language` that has names; without either, no labels",
    {"type": "string", "enum": list(LANGUAGES)},
)

ROUTES: Final = (
    Route("/openapi.json", "openapi", "This document", dict[str, Any], public=True),
    Route(
        "/deliveries",
        "deliveries",
        "Deliveries with their KPIs, the last changed first",
        ApiDeliveries,
        (
            Parameter(
                "limit", "deliveries on a page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
            ),
            Parameter("after", "`next` of the previous page", {"type": "string", "maxLength": MAX_CURSOR}),
            Parameter(
                "sort",
                "the latest first; `delivery_id`: in alphabetical order",
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
        "Status, facts and times of one recipient in one delivery",
        PublicRow,
        codes=(*_ROW_CODES, ErrorCode.INVALID_DELIVERY, ErrorCode.UNKNOWN_ROW),
    ),
    Route(
        "/deliveries/{delivery_id}/recipients/{recipient}/explanation",
        "explanation",
        "Every event of one recipient in one delivery, with its decision and the rule behind it",
        ApiExplanation,
        (
            Parameter(
                "raw", "include the raw records; requires the role operator", {"type": "boolean", "default": False}
            ),
            Parameter(
                "view",
                f"include the statuses of these views: names separated by commas, or {ALL_VIEWS}",
                {"type": "string"},
            ),
            Parameter(
                "as_of",
                "state at this time: ISO 8601 with a time zone, or seconds since 1970",
                {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}]},
            ),
        ),
        (*_ROW_CODES, ErrorCode.INVALID_DELIVERY, ErrorCode.UNKNOWN_ROW, ErrorCode.KAFKA_UNAVAILABLE),
    ),
    Route(
        "/recipients/{recipient}",
        "recipient",
        "All deliveries of one address, and its contact record",
        ApiRecipient,
        codes=(*_ROW_CODES, ErrorCode.UNKNOWN_RECIPIENT),
    ),
    Route(
        "/suppression/check",
        "suppression",
        f"Whether up to {MAX_ADDRESSES} addresses may be mailed, and the reasons against it",
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
    "ApiLabels": "Labels",
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
        "delivery id, percent-encoded; empty for events without a delivery",
        {"type": "string", "maxLength": MAX_DELIVERY},
    ),
    "recipient": Parameter(
        "recipient", "address in any spelling, percent-encoded", {"type": "string", "maxLength": MAX_ADDRESS}
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
            "description": "KPIs of deliveries and state of recipients. Roles: `viewer` reads personal data masked, "
            "`operator` reads all data. While a partition moves between workers, the answer is 503 with Retry-After, "
            "never stale data.",
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
    parameters += [_described(parameter, "query") for parameter in route.parameters]
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
