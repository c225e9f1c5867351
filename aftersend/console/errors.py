"""Errors of the query API: an HTTP status, and a stable code for programs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ErrorCode(StrEnum):
    """Code of an error: stable, unlike its message."""

    INVALID_PARAMETER = "invalid_parameter"
    INVALID_ENCODING = "invalid_encoding"
    INVALID_DELIVERY = "invalid_delivery"
    INVALID_ADDRESS = "invalid_address"
    INVALID_BODY = "invalid_body"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    API_OFF = "api_off"
    UNKNOWN_DELIVERY = "unknown_delivery"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    UNKNOWN_ROW = "unknown_row"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONTENT_TOO_LARGE = "content_too_large"
    URI_TOO_LONG = "uri_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PARTITION_MOVING = "partition_moving"
    OWNER_UNREACHABLE = "owner_unreachable"
    REDIS_UNAVAILABLE = "redis_unavailable"
    KAFKA_UNAVAILABLE = "kafka_unavailable"
    OVERLOADED = "overloaded"


#: HTTP status of each code.
STATUSES: Final = {
    ErrorCode.INVALID_PARAMETER: 400,
    ErrorCode.INVALID_ENCODING: 400,
    ErrorCode.INVALID_DELIVERY: 400,
    ErrorCode.INVALID_ADDRESS: 400,
    ErrorCode.INVALID_BODY: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.API_OFF: 404,
    ErrorCode.UNKNOWN_DELIVERY: 404,
    ErrorCode.UNKNOWN_RECIPIENT: 404,
    ErrorCode.UNKNOWN_ROW: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.REQUEST_TIMEOUT: 408,
    ErrorCode.CONTENT_TOO_LARGE: 413,
    ErrorCode.URI_TOO_LONG: 414,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.PARTITION_MOVING: 503,
    ErrorCode.OWNER_UNREACHABLE: 503,
    ErrorCode.REDIS_UNAVAILABLE: 503,
    ErrorCode.KAFKA_UNAVAILABLE: 503,
    ErrorCode.OVERLOADED: 503,
}
_UNAVAILABLE: Final = 503
#: `Retry-After` of a 503, seconds: most rebalances are complete by then.
RETRY_AFTER: Final = 2


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        code: for programs.
        message: for people.
        headers: of the answer, in addition to those that its status requires.
    """

    def __init__(self, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUSES[code]
        self.headers = dict(headers or {})
        if self.status == _UNAVAILABLE:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER))
