"""Opens and clicks by machines: proxies that fetch images ahead of the reader, scanners that follow every link.

A tracker or provider that knows better says so itself; this table is for those that only pass the user agent on.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Machine(NamedTuple):
    """One machine by its user agent."""

    #: Part of the user agent, in lower case.
    token: str
    name: str


MACHINES: Final = (
    Machine("googleimageproxy", "Gmail's image proxy"),
    Machine("yahoomailproxy", "Yahoo's image proxy"),
    Machine("barracuda", "Barracuda's scanner"),
    Machine("mimecast", "Mimecast's scanner"),
    Machine("proofpoint", "Proofpoint's scanner"),
    # Nobody reads mail with a library for fetching pages, but scanners are made of them.
    Machine("curl/", "curl"),
    Machine("python-requests/", "requests"),
    Machine("go-http-client/", "Go's HTTP client"),
)

#: All that Apple's Mail Privacy Protection says of itself.
APPLE_PRIVACY_PROXY: Final = "Mozilla/5.0"

_TOKENS: Final = tuple(machine.token for machine in MACHINES)


def is_machine(user_agent: str) -> bool:
    """Whether a user agent is a machine's. An empty one says nothing."""
    if user_agent.strip() == APPLE_PRIVACY_PROXY:
        return True
    lower = user_agent.lower()
    return any(token in lower for token in _TOKENS)
