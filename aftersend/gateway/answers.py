"""The answers there are, made once."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

#: Not sent: the other side was gone before there was an answer.
GONE: Final = 499

Header = tuple[bytes, bytes]
_CLOSE: Final[Header] = (b"connection", b"close")
#: Where the rest of the body is not worth reading, or will never come.
_CLOSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class Answer:
    """One answer, as messages of ASGI's.

    Args:
        status: HTTP's.
        headers: beside those that every answer has.
    """

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, *headers: Header) -> None:
        self.status = status
        text = b"" if status == HTTPStatus.OK else f"{HTTPStatus(status).phrase}\n".encode()
        every = [(b"content-length", str(len(text)).encode())]
        if text:
            every.append((b"content-type", b"text/plain"))
        if status in _CLOSING:
            every.append(_CLOSE)
        self.head: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": [*every, *headers]}
        self.body: dict[str, Any] = {"type": "http.response.body", "body": text}


class Answers:
    """All answers of a gateway.

    Args:
        retry_after: seconds after which a provider may come again.
    """

    def __init__(self, retry_after: int) -> None:
        self.ok = Answer(HTTPStatus.OK)
        self.unsigned = Answer(HTTPStatus.UNAUTHORIZED)
        self.no_credentials = Answer(HTTPStatus.UNAUTHORIZED, (b"www-authenticate", b'Basic realm="webhooks"'))
        self.closed = Answer(HTTPStatus.FORBIDDEN)
        self.unknown = Answer(HTTPStatus.NOT_FOUND)
        self.method = Answer(HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST, GET, HEAD"))
        self.slow = Answer(HTTPStatus.REQUEST_TIMEOUT)
        self.large = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.media_type = Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        self.later = Answer(HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", str(retry_after).encode()))
