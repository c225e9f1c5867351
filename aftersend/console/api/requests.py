"""Parsing of requests: route, path, query parameters and body."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, Request

from aftersend.console.api.routes import (
    DEFAULT_LIMIT,
    MAX_BODY,
    MAX_CURSOR,
    MAX_LIMIT,
    PREFIX,
    ROUTES,
    Route,
)
from aftersend.console.errors import ApiError, ErrorCode
from aftersend.locale.languages import LANGUAGES, LanguageCode, from_accept_language, language_of
from aftersend.publish.redis.reader import PageKey
from aftersend.services.answers import MAX_DELIVERY
from aftersend.services.explain.answer import ExplainOptions, time_of, views_of

_MAX_QUERY_FIELDS: Final = 10
#: Time in which a body has to arrive, seconds.
_BODY_SECONDS: Final = 10.0
_BOOLEANS: Final = {"true": True, "1": True, "": True, "false": False, "0": False}
#: Header of answers to requests whose body was not read to its end.
_CLOSE: Final = {"Connection": "close"}
#: Part of a parameter's name that an error message repeats, characters.
_SHOWN: Final = 100
_encode: Final = msgspec.json.Encoder().encode


class ApiRequest(msgspec.Struct):
    """An authenticated request, parsed."""

    route: Route
    #: Values of the route's path, by the names in its template.
    names: dict[str, str]
    query: dict[str, str]
    role: str
    #: The HTTP request, with its headers and body.
    http: Request
    #: Percent-encoded, as received.
    path: str
    #: Of the labels; None: no labels.
    language: LanguageCode | None = None

    @property
    def raw_query(self) -> str:
        """The query string, as received."""
        return bytes(self.http.scope.get("query_string", b"")).decode("latin-1")


def find_route(raw_path: bytes) -> tuple[Route, dict[str, str]]:
    """Return the route of a path, and the values of the names in its template.

    A path is split before it is decoded, since an id may contain a slash.

    Raises:
        ApiError: 404, if there is none.
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
    raise ApiError(ErrorCode.NOT_FOUND, f"no such path; {PREFIX}/openapi.json lists all of them")


def _decoded(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise ApiError(ErrorCode.INVALID_ENCODING, "the path is not percent-encoded UTF-8") from error


def parse_query(raw: bytes, route: Route) -> dict[str, str]:
    """Return the query parameters by name.

    Raises:
        ApiError: 400, if one is unknown, given twice or not UTF-8.
    """
    try:
        fields = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
        )
    except UnicodeError as error:
        raise ApiError(ErrorCode.INVALID_ENCODING, "the query is not percent-encoded UTF-8") from error
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"more than {_MAX_QUERY_FIELDS} parameters") from error
    names = {parameter.name for parameter in route.parameters}
    query: dict[str, str] = {}
    for name, value in fields:
        if name in query:
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"parameter {name[:_SHOWN]!r} is given twice")
        if name not in names:
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"this path has no parameter {name[:_SHOWN]!r}")
        query[name] = value
    return query


def parse_limit(given: str | None) -> int:
    """Return the parameter `limit`.

    Raises:
        ApiError: 400, if it is out of range.
    """
    if given is None:
        return DEFAULT_LIMIT
    digits = given.isascii() and given.isdigit() and len(given) <= len(str(MAX_LIMIT))
    if not digits or not 1 <= int(given) <= MAX_LIMIT:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(given)


def parse_language(query: Mapping[str, str], accepted: str) -> LanguageCode | None:
    """Return the language of the labels: that of the parameter `language`, else the one that the client prefers.

    Args:
        query: parameters by name.
        accepted: value of `Accept-Language`; "": the client has none.

    Raises:
        ApiError: 400, if the parameter names a language without names.
    """
    given = query.get("language")
    if given is None:
        return from_accept_language(accepted)
    if given not in LANGUAGES:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"language must be one of {', '.join(LANGUAGES)}")
    return language_of(given)


def _parse_boolean(name: str, given: str) -> bool:
    if given not in _BOOLEANS:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"{name} must be true or false")
    return _BOOLEANS[given]


def parse_explain_options(query: Mapping[str, str]) -> ExplainOptions:
    """Return the parameters `as_of`, `view` and `raw`.

    Raises:
        ApiError: 400, if one is invalid.
    """
    try:
        as_of = time_of(query["as_of"]) if "as_of" in query else None
        views = views_of(query["view"].split(",")) if "view" in query else ()
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"as_of or view: {error}") from error
    return ExplainOptions(as_of, views, _parse_boolean("raw", query.get("raw", "false")))


def delivery_id_of(request: ApiRequest) -> str:
    """Return the delivery id in a request's path.

    Raises:
        ApiError: 400, if it can't be one.
    """
    delivery_id = request.names["delivery_id"]
    if len(delivery_id) > MAX_DELIVERY or any(c < " " or c == "\x7f" for c in delivery_id):
        raise ApiError(
            ErrorCode.INVALID_DELIVERY,
            f"a delivery id has at most {MAX_DELIVERY} characters and no control characters",
        )
    return delivery_id


def encode_cursor(key: PageKey) -> str:
    """Return the cursor of the page after a key."""
    return base64.urlsafe_b64encode(_encode(key)).decode().rstrip("=")


def decode_cursor(given: str) -> PageKey:
    """Return the key in a cursor.

    Raises:
        ApiError: 400, if `encode_cursor` did not make it.
    """
    try:
        if len(given) > MAX_CURSOR:
            raise ValueError("too long")
        encoded = given.encode("ascii")
        decoded = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        at, delivery_id = msgspec.json.decode(decoded, type=tuple[float, str])
        if not math.isfinite(at):
            raise ValueError("not finite")
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, "after must be the `next` of an earlier page") from error
    return at, delivery_id


async def read_body(request: Request) -> bytes:
    """Return the body of a POST.

    Raises:
        ApiError: if its headers do not say JSON, if it is too large or too slow, or if the client disconnects.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send uncompressed JSON: Content-Type: application/json", _CLOSE
        )
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise ApiError(
                        ErrorCode.CONTENT_TOO_LARGE, f"more than {MAX_BODY} bytes: send fewer addresses at once", _CLOSE
                    )
    except TimeoutError as error:
        raise ApiError(
            ErrorCode.REQUEST_TIMEOUT, f"the body did not arrive within {_BODY_SECONDS:g} s", _CLOSE
        ) from error
    except ClientDisconnect as error:
        raise ApiError(ErrorCode.INVALID_BODY, "the body is incomplete") from error
    return bytes(body)
