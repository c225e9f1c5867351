"""Settings of the gateway for webhooks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from aftersend.config.types import MIB, Mapped, MappedNames, Names
from aftersend.sources.registry import TOKEN_SOURCES


class GatewaySettings(BaseModel):
    """The gateway: address, authentication and limits."""

    gateway_host: str = Field(
        "127.0.0.1", description="Address on which `aftersend gateway` receives webhooks; 0.0.0.0: all."
    )
    gateway_port: int = Field(8080, ge=1, le=65535, description="Its port; all its processes share it.")
    gateway_admin_port: int = Field(
        6166,
        ge=0,
        le=65535,
        description="Port of the gateway's /live, /ready and /metrics, on `web_host`. With several processes, the "
        "second has the next port, and so on; 0: not served.",
    )
    gateway_secrets: MappedNames = Field(
        {},
        description="Secrets that webhooks are verified with, one or several, by source or by `source/tenant` (JSON "
        "object). Each of them is accepted at its own path, so that a secret can be rotated without losing webhooks; "
        "no secret may belong to two tenants.",
        repr=False,
    )
    gateway_tokens: Mapped = Field(
        {},
        description="Tenants by token: a webhook to `/webhooks/<source>/<token>` belongs to that tenant (JSON object). "
        "For a source that signs, the tenant needs a secret of its own as well.",
        repr=False,
    )
    gateway_secrets_dir: Path | None = Field(
        None,
        description="Folder with more secrets and tokens, read again when it changes: `<source>` or "
        "`<source>.<tenant>`, a secret a line; `tokens`, a token and its tenant a line.",
    )
    gateway_certificates: Mapped = Field(
        {},
        description="Certificate files (PEM) by the URLs that they replace (JSON object): for webhooks of "
        "`aftersend simulate` only, never where real ones arrive. Anyone with the key of such a certificate can sign "
        "any webhook.",
    )
    gateway_token_sources: Names = Field(
        TOKEN_SOURCES,
        description="Sources without signatures for which a token is enough; all others require a secret.",
    )
    gateway_open: Names = Field(
        (), description="Sources whose webhooks are accepted from anybody, unverified: for trusted networks only."
    )
    gateway_tolerance: float | None = Field(
        None,
        gt=0,
        description="Maximum age of a signed timestamp; none: as long as the provider retries. In the "
        "future it may be 300 s at most.",
    )
    gateway_max_body_bytes: int = Field(
        990_000,
        ge=1024,
        le=990_000,
        description="Maximum size of a body; smaller where the provider sends less. Kafka's default limit for records "
        "is the upper limit.",
    )
    gateway_max_inflight_bytes: int = Field(
        64 * MIB,
        ge=MIB,
        description="Bodies in memory that Kafka has not acknowledged; above this, webhooks are answered with 503.",
    )
    gateway_max_connections: int = Field(
        2000,
        ge=1,
        description="Connections of one process at a time. Beyond them the one that has waited longest for a request "
        "is closed.",
    )
    gateway_read_timeout: float = Field(10.0, gt=0, description="Time in which a request has to arrive (408).")
    gateway_answer_within: float = Field(
        8.0, gt=0, description="Time in which Kafka has to acknowledge a body; after it, the answer is 503."
    )
    gateway_linger: float = Field(
        0.005, ge=0, le=1, description="Time for which bodies are collected into one write to Kafka."
    )
    gateway_retry_after: int = Field(10, ge=1, description="`Retry-After` of a 503, seconds.")
    gateway_drain_seconds: float = Field(
        20.0, gt=0, description="Time that requests in progress have to finish after SIGTERM."
    )
    gateway_access_log: Literal["off", "errors", "all"] = Field(
        "errors", description="Requests that are logged; the metrics count all of them."
    )
    gateway_log_ip: bool = Field(default=False, description="Log the IP address of the client with a request.")

    @field_validator("gateway_certificates")
    @classmethod
    def _readable_files(cls, value: dict[str, str]) -> dict[str, str]:
        for path in value.values():
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise ValueError(f"{path} can't be read: {error.strerror or error}") from error
        return value
