"""One record of a stranger stops nobody: each of these was accepted once, and stopped an installation for good.

Every test writes honest records before, beside and after the hostile ones, on the same partition, and compares every
honest number with the reference in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aftersend.engine import changelog
from tests.system.chaos.hostile import HOSTILE, tracked
from tests.system.chaos.installation import Input, Installation

Install = Callable[..., Installation]


@pytest.fixture(params=HOSTILE, ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> Callable[[Installation], list[Input]]:
    return HOSTILE[request.param]


async def dead_letters(installation: Installation) -> list[Any]:
    found: list[Any] = []
    await changelog.read(
        installation.settings.kafka_options(),
        {(installation.topics.dead_letters, p): None for p in range(installation.settings.partitions)},
        lambda _topic, _partition, records: found.extend(records),
    )
    return found


async def test_a_hostile_record_holds_nobody_up(
    install: Install, hostile: Callable[[Installation], list[Input]]
) -> None:
    installation = install(partitions=1)
    (worker,) = await installation.start()
    honest = [tracked(installation, f"honest{n}@example.org") for n in range(30)]
    await installation.write([*honest[:10], *hostile(installation), *honest[10:20]])
    await installation.await_caught_up()
    await installation.write(honest[20:])

    report = await installation.finish()

    assert [0] == worker.exit_codes
    assert 30 <= report.rows
