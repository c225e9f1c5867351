"""Settings of the query API."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, field_validator

from aftersend.config.types import Mapped

#: Shorter tokens can be guessed, characters.
MIN_TOKEN: Final = 16


class ApiSettings(BaseModel):
    """The query API."""

    advertised_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s?#]+)?$",
        description="URL at which other workers reach this one for the query API; none: "
        "`http://<web_host>:<web_port>`, with the machine's name if `web_host` means all addresses.",
    )
    api_tokens: Mapped = Field(
        {},
        description="Roles by token, for the query API: `viewer` (personal data masked) or `operator` (JSON object). "
        "Without any token, here and in `api_tokens_file`, the API is off.",
        repr=False,
    )
    api_tokens_file: Path | None = Field(None, description="File with more tokens: a token and its role a line.")
    api_open: bool = Field(
        default=False,
        description="Answer the query API without tokens to programs on this machine; requires a loopback `web_host`.",
    )

    @field_validator("api_tokens")
    @classmethod
    def _valid_tokens(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := sorted(set(value.values()) - {"viewer", "operator"}):
            raise ValueError(f"roles are viewer and operator, not {', '.join(wrong)}")
        if any(len(token) < MIN_TOKEN for token in value):
            raise ValueError(f"a token must have at least {MIN_TOKEN} characters")
        return value
