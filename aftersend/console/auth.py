"""Who may ask: tokens and their roles."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from aftersend.console.errors import ApiError, ErrorCode

#: Sees everything but personal data.
VIEWER: Final = "viewer"
#: Sees everything.
OPERATOR: Final = "operator"

_SCHEME: Final = "bearer"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aftersend"'}
_MAX_HEADER: Final = 4096
#: What a browser on this machine sends as Host when it means this machine.
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class TokenAuth:
    """Lets in who has a token.

    Args:
        tokens: roles by token.
        open_to_all: whoever can connect is an operator; there are no tokens then.
    """

    def __init__(self, tokens: Mapping[str, str], *, open_to_all: bool = False) -> None:
        self._roles = [(sha256(token.encode()).digest(), role) for token, role in tokens.items()]
        self._open = open_to_all and not self._roles
        #: Whether anybody is let in.
        self.on = bool(self._roles) or self._open

    def role(self, authorization: str | None, host: str | None) -> str:
        """Return the role of who asks.

        Args:
            authorization: the request's header.
            host: the request's header.

        Raises:
            ApiError: 401, if there is no token or it is none of ours.
        """
        if self._open:
            # A page from anywhere can make a browser here connect to a name that leads here (DNS rebinding).
            if (host or "").lower().rpartition(":")[0] not in _LOCAL_HOSTS and (host or "").lower() not in _LOCAL_HOSTS:
                message = "without tokens the API answers requests to this machine by its own name only"
                raise ApiError(ErrorCode.FORBIDDEN, message)
            return OPERATOR
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != _SCHEME or not token.strip() or len(token) > _MAX_HEADER:
            message = "send a token: Authorization: Bearer …"
            raise ApiError(ErrorCode.UNAUTHORIZED, message, _CHALLENGE)
        given = sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        found = ""
        for digest, role in self._roles:  # all of them, so that the time tells nothing
            if hmac.compare_digest(digest, given):
                found = role
        if not found:
            message = "this token is none of ours"
            raise ApiError(ErrorCode.UNAUTHORIZED, message, _CHALLENGE)
        return found
