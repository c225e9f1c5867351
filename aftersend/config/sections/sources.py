"""Settings of the sources: where raw records name delivery, message type and tenant."""

from __future__ import annotations

from pydantic import BaseModel, Field

from aftersend.config.types import Names


class SourceSettings(BaseModel):
    """The sources."""

    delivery_keys: Names = Field(
        ("delivery_id", "campaign_id", "campaign"),
        description="Metadata keys that hold the delivery id; the first that is present counts.",
    )
    message_type_keys: Names = Field(("message_type",), description="Metadata keys that hold the message type.")
    tenant_keys: Names = Field(("tenant",), description="Metadata keys that hold the tenant.")
    test_keys: Names = Field(("test",), description="Metadata keys that mark test messages.")
    delivery_headers: Names = Field(
        (), description="Message headers that hold the delivery id, used where no metadata key does."
    )
    campaign_from_queue: bool = Field(
        default=True,
        description="Take delivery and tenant from the name of the MTA's queue (`campaign:tenant@domain`) where "
        "neither metadata nor headers name them.",
    )
    return_path: str = Field(
        "",
        description="Regular expression for the return path of an asynchronous bounce, with the named groups "
        "`delivery` and, with VERP, `recipient`.",
    )
    unsubscribe_urls: Names = Field(
        ("/unsubscribe", "/optout", "/opt-out"),
        description="Parts of a URL that mark a clicked link as the unsubscribe link.",
    )
