"""Authentication of the query API: bearer tokens and their roles."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from aftersend.console.errors import ApiError, ErrorCode

#: Role that reads everything, with personal data masked.
VIEWER: Final = "viewer"
#: Role that reads everything.
OPERATOR: Final = "operator"

_SCHEME: Final = "bearer"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aftersend"'}
#: Longest token that is hashed and compared, characters.
_MAX_TOKEN: Final = 4096
#: `Host` headers of a browser that addresses this machine by its own name.
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class TokenAuth:
    """Authenticates requests by their bearer token.

    Args:
        tokens: roles by token.
        open_to_all: without tokens, every client that can connect has the role `operator`.
    """

    def __init__(self, tokens: Mapping[str, str], *, open_to_all: bool = False) -> None:
        self._roles = [(sha256(token.encode()).digest(), role) for token, role in tokens.items()]
        self._open = open_to_all and not self._roles
        #: Whether any request can be authenticated; if not, the API is off.
        self.on = bool(self._roles) or self._open

    def role(self, authorization: str | None, host: str | None) -> str:
        """Return the role of the caller.

        Args:
            authorization: the request's `Authorization` header.
            host: the request's `Host` header.

        Raises:
            ApiError: 401, if there is no token or an unknown one; 403, if the API is open and the request is addressed
                to another host name.
        """
        if self._open:
            # DNS rebinding: a page of another site can make a browser on this machine connect to it by a foreign name.
            if (host or "").lower().rpartition(":")[0] not in _LOCAL_HOSTS and (host or "").lower() not in _LOCAL_HOSTS:
                raise ApiError(
                    ErrorCode.FORBIDDEN, "without tokens the API answers requests for a local host name only"
                )
            return OPERATOR
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != _SCHEME or not token.strip() or len(token) > _MAX_TOKEN:
            raise ApiError(ErrorCode.UNAUTHORIZED, "send a token: Authorization: Bearer …", _CHALLENGE)
        given = sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        found = ""
        for digest, role in self._roles:  # always all of them, against timing attacks
            if hmac.compare_digest(digest, given):
                found = role
        if not found:
            raise ApiError(ErrorCode.UNAUTHORIZED, "unknown token", _CHALLENGE)
        return found
