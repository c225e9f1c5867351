"""What the engine's tests share."""

import pytest

from aftersend.engine.aiokafka import patches


@pytest.fixture(autouse=True, scope="session")
def _patched_aiokafka() -> None:
    """Patch aiokafka, as every process does at its start."""
    patches.apply()
