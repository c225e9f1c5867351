"""Interfaces to the process that serves the API; the API itself has no access to Kafka, Redis or the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aftersend.publish.kpis import Kpis
from aftersend.publish.redis.reader import DeliveryPage, PageKey
from aftersend.rules.contact.suppression import SuppressionResult
from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState
from aftersend.services.answers import ApiExplanation
from aftersend.services.explain.answer import ExplainOptions


class AddressRecord(msgspec.Struct):
    """Everything that is stored about one address."""

    #: One row for each delivery, the last changed first.
    rows: Sequence[RecipientState]
    #: None: nothing is held against the address.
    contact: Contact | None


class DeliveryReader(Protocol):
    """Reads KPIs; raises `ApiError` (`redis_unavailable`) if that fails."""

    async def read(self, delivery_id: str) -> Kpis | None:
        """Return the KPIs of a delivery; None: there are none."""

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        """Return a page of deliveries, as `aftersend.publish.redis.reader.KpiReader.page`."""


class RowReader(Protocol):
    """Reads committed rows of the partitions that this process owns.

    All methods that read raise `ApiError` (`partition_moving`) rather than return data that another worker may have
    changed.
    """

    def normalise(self, address: str) -> str:
        """Return the normalised form of an address.

        Raises:
            ValueError: if it is not an address.
        """

    def is_here(self, recipient: str) -> bool:
        """Return whether this process certainly owns the recipient's partition."""

    def owner(self, recipient: str) -> str:
        """Return the URL of the process that owns the recipient's partition; "" if unknown, or this process."""

    def key_of(self, address: str) -> str:
        """Return the normalised form of an address; "" if no mail can be sent to it."""

    def partition(self, recipient: str) -> int:
        """Return the partition of a recipient."""

    async def check_suppression(self, recipients: Sequence[str], message_type: str) -> list[SuppressionResult]:
        """Return for each recipient whether it may be mailed.

        Args:
            recipients: normalised addresses of one partition.
            message_type: of the message to send; "": unknown.
        """

    async def row(self, delivery_id: str, recipient: str) -> RecipientState | None:
        """Return the row of a recipient in a delivery; None: there is none."""

    async def recipient(self, recipient: str) -> AddressRecord:
        """Return everything that is stored about an address."""

    async def explain(self, delivery_id: str, recipient: str, options: ExplainOptions) -> ApiExplanation | None:
        """Return the explanation of a row; None: there is no row and no event.

        Args:
            delivery_id: of the row.
            recipient: of the row.
            options: what to include.
        """
