"""What the API asks of the process that it runs in; given to it, so that it knows neither Kafka nor the tables."""

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
from aftersend.services.explanations import ExplainOptions


class AddressRecord(msgspec.Struct):
    """All that is held of one address."""

    rows: list[RecipientState]
    contact: Contact | None


class DeliveryReader(Protocol):
    """Reads KPIs.

    All raise `ApiError` if they can't.
    """

    async def read(self, delivery_id: str) -> Kpis | None:
        """Return a delivery's KPIs; None: nothing is known of it."""

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        """Return some deliveries."""


class RowReader(Protocol):
    """Reads committed rows of the partitions that this process surely owns.

    All that read raise `ApiError` (`partition_moving`) rather than tell what may no longer be so.
    """

    def normalise(self, address: str) -> str:
        """Return an address in the spelling of the tables.

        Raises:
            ValueError: if it is none.
        """

    def is_here(self, recipient: str) -> bool:
        """Tell whether this process surely owns the recipient's partition."""

    def owner(self, recipient: str) -> str:
        """Return the URL of the process that owns the recipient's partition; "": not known, or this very one."""

    def key_of(self, address: str) -> str:
        """Return an address in the spelling of the tables; "" if it is none that mail could be sent to."""

    def partition(self, recipient: str) -> int:
        """Return the partition that a recipient lies in."""

    async def verdicts(self, recipients: Sequence[str], message_type: str) -> list[SuppressionResult]:
        """Return for each of some recipients of one and the same partition whether it may be mailed.

        Args:
            recipients: normalised.
            message_type: of the message that is to be sent; "": not known.
        """

    async def row(self, delivery_id: str, recipient: str) -> RecipientState | None:
        """Return a row; None: there is none."""

    async def recipient(self, recipient: str) -> AddressRecord:
        """Return all rows of an address, last change first, and its card."""

    async def explain(self, delivery_id: str, recipient: str, options: ExplainOptions) -> ApiExplanation | None:
        """Return how a row came to be; None: nothing is known of it.

        Args:
            delivery_id: of the row.
            recipient: of the row.
            options: what is to be shown.
        """
