"""Posts the simulated webhooks of providers to the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.sandbox.simulation.campaign import Summary, simulate_campaign
from aftersend.sandbox.simulation.posting import Posted, Poster, batches
from aftersend.sandbox.simulation.signing import signer
from aftersend.sandbox.simulation.simulators import webhook_simulators

#: Of how many of a hundred recipients each provider reports that is in the demo.
SHARES: Final = {name: webhook.demo_share for name, webhook in webhook_simulators().items() if webhook.demo_share}

#: Events in a request, or fewer where the provider sends fewer.
_BATCH: Final = 50


class ProviderTraffic:
    """One provider that sends a campaign of its own, at a steady rate.

    Args:
        settings: of the installation.
        name: in `SHARES`.
        keys: the folder that `aftersend.sandbox.simulation.signing.make_keys` made.
        recipients: how many.
        deliveries: how many.
        seed: of the campaign.
        start: when it began, seconds since 1970.
        duration: how long it took, seconds.
        rate: events a second; 0: as fast as they go.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        keys: Path,
        *,
        recipients: int,
        deliveries: int,
        seed: int,
        start: float,
        duration: float,
        rate: float,
    ) -> None:
        self.name = name
        self._rate = rate
        self._batch = min(_BATCH, webhook_simulators()[name].batch)
        self._summary = Summary()
        self._records = simulate_campaign(
            recipients, deliveries, seed, start, duration=duration, source=name, summary=self._summary
        )
        url = f"http://{settings.gateway_host}:{settings.gateway_port}/webhooks/{name}"
        self._poster = Poster(url, signer(name, keys))

    @property
    def posted(self) -> Posted:
        """What has become of the requests so far."""
        return self._poster.posted

    async def post_all(self) -> None:
        """Post all events.

        Raises:
            AftersendError: if the gateway does not take it.
        """
        # No more at once than come in half a second, so that the rate is one.
        size = max(1, min(self._batch, int(self._rate / 2))) if self._rate else self._batch
        await self._poster.post_all(batches(self._records, size), self._rate)

    def as_json(self) -> dict[str, Any]:
        """Return what scripts read."""
        result: dict[str, Any] = msgspec.to_builtins(self.posted)
        return result | {"broken": self._summary.broken}
