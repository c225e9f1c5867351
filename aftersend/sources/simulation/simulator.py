"""What a source's module `simulator` offers as `SIMULATOR`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from aftersend.sources.simulation.message import Message


class Request(NamedTuple):
    """What is to be posted."""

    headers: dict[str, str]
    body: bytes
    #: Events in it.
    events: int


class KeyMaterial(NamedTuple):
    """What a simulated provider signs with, and what the gateway checks with."""

    #: What `WebhookSimulator.signer` takes: a private key (PEM) or a secret.
    private: bytes
    #: A secret as it is set in the gateway.
    secret: str
    #: The certificate (PEM) that the gateway reads from a file instead of fetching it; empty: none is needed.
    certificate: bytes = b""


#: Puts events into one request, signed now.
Sign = Callable[[list[bytes]], Request]


class WebhookSimulator(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulated provider posts its events."""

    #: Events in one request: as many as the provider sends when it has them.
    batch: int
    #: Name of the file that holds `KeyMaterial.private`.
    key_file: str
    make_key: Callable[[], KeyMaterial]
    #: Returns what signs with a key. Raises ValueError that says what is wrong: "no private RSA key".
    signer: Callable[[bytes], Sign]
    #: Where requests say that the certificate is, and the name of the file that holds it; "": there is none.
    certificate_url: str = ""
    certificate_file: str = ""
    #: Recipients of the demo of which this provider reports, of a hundred; 0: it is not in the demo.
    demo_share: int = 0


class Simulator(msgspec.Struct, frozen=True, kw_only=True):
    """Writes what one source reports of simulated messages."""

    #: Returns one event; None: the source reports nothing of such a step. Of a message; the step's name in
    #: `aftersend.sandbox.simulation.journeys`; the step's number in the journey, or how many attempts there were
    #: before; when it happened, seconds since 1970.
    write: Callable[[Message, str, int, float], bytes | None]
    #: Returns a record that can't be read. Of its number; when it was written, seconds since 1970.
    broken: Callable[[int, float], bytes]
    #: Whether it reports opens, clicks and unsubscribes itself; where not, the sender's own tracker does.
    tracks: bool
    #: None: its records are written straight to the raw topic.
    webhook: WebhookSimulator | None = None
