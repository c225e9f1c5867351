"""Settings of the HTTP front, which all ports share."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field

from aftersend.config.types import MIB

KIB: Final = 1024


class HttpSettings(BaseModel):
    """Limits of all ports; the gateway's own are with the gateway's settings."""

    http_max_head_bytes: int = Field(
        32 * KIB, ge=8 * KIB, le=MIB, description="Maximum size of a request's head: request line and headers (431)."
    )
    http_max_body_bytes: int = Field(
        8 * MIB,
        ge=5 * MIB,
        description="Maximum size of a body with the framing of its chunks (413). Rejected bodies are read and "
        "discarded up to here, so that the client reads its answer; webhooks have `gateway_max_body_bytes`.",
    )
    http_idle_timeout: float = Field(
        30.0, gt=0, description="Time after an answer in which the next request on a connection has to begin."
    )
    web_max_connections: int = Field(
        256,
        ge=4,
        description="Connections to `web_port` and to `gateway_admin_port` at a time. Beyond them the one that has "
        "waited longest for a request is closed.",
    )
    web_read_timeout: float = Field(
        10.0, gt=0, description="Time in which the head of a request to these ports has to arrive, and its body (408)."
    )
