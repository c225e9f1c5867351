"""The sources that can be simulated."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from aftersend.sources.registry import REGISTRY
from aftersend.sources.simulation.simulator import Simulator, WebhookSimulator

#: Names of the sources that have a simulator, in the registry's order.
SIMULATED: Final = tuple(name for name, source in REGISTRY.items() if source.simulator)
#: Who reports on a campaign when nothing else is said.
DEFAULT: Final = SIMULATED[0]


def simulator(name: str) -> Simulator:
    """Return the simulator of a source.

    Args:
        name: in `SIMULATED`.
    """
    found: Simulator = import_module(REGISTRY[name].simulator).SIMULATOR
    return found


def webhook_simulators() -> dict[str, WebhookSimulator]:
    """Return how the simulated sources post that send webhooks, by name."""
    found = {name: simulator(name).webhook for name in SIMULATED}
    return {name: webhook for name, webhook in found.items() if webhook is not None}
