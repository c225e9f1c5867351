"""All HTTP answers of the gateway, prebuilt."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

#: Counted, never sent: the client disconnected before the answer (nginx's "client closed request").
CLIENT_GONE: Final = 499

Header = tuple[bytes, bytes]
_CLOSE: Final[Header] = (b"connection", b"close")
#: After these the connection is closed: the rest of the body is too long to read, or does not arrive.
_CLOSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class Answer:
    """One answer, as ASGI messages.

    Args:
        status: HTTP status.
        headers: besides those that every answer has.
    """

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, *headers: Header) -> None:
        self.status = status
        text = b"" if status == HTTPStatus.OK else f"{HTTPStatus(status).phrase}\n".encode()
        common = [(b"content-length", str(len(text)).encode())]
        if text:
            common.append((b"content-type", b"text/plain"))
        if status in _CLOSING:
            common.append(_CLOSE)
        self.head: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": [*common, *headers]}
        self.body: dict[str, Any] = {"type": "http.response.body", "body": text}


class Answers:
    """All answers of a gateway.

    Args:
        retry_after: seconds after which a provider should retry.
    """

    def __init__(self, retry_after: int) -> None:
        self.accepted = Answer(HTTPStatus.OK)
        self.wrong_signature = Answer(HTTPStatus.UNAUTHORIZED)
        self.wrong_credentials = Answer(HTTPStatus.UNAUTHORIZED, (b"www-authenticate", b'Basic realm="webhooks"'))
        self.closed = Answer(HTTPStatus.FORBIDDEN)
        self.not_found = Answer(HTTPStatus.NOT_FOUND)
        self.wrong_method = Answer(HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST, GET, HEAD"))
        self.too_slow = Answer(HTTPStatus.REQUEST_TIMEOUT)
        self.too_large = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.wrong_media_type = Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        self.retry_later = Answer(HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", str(retry_after).encode()))
