"""The limit of open files, in processes of their own."""

import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from aftersend.processes.open_files import clamp_connections

RAISE = """
import resource, sys
from aftersend.processes.open_files import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 2048))
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("soft", [256, 2048])
def test_the_limit_is_raised_as_far_as_it_may_be(soft: int) -> None:
    done = subprocess.run([sys.executable, "-c", RAISE.format(soft=soft)], capture_output=True, text=True, check=True)

    assert "2048 2048 2048" == done.stdout.strip()


def test_connections_beyond_the_limit_are_clamped_and_said() -> None:
    with capture_logs() as logs:
        assert 128 == clamp_connections("gateway_max_connections", 2000, 256, 128)
        assert 2000 == clamp_connections("gateway_max_connections", 2000, 4096, 128)
        assert 1 == clamp_connections("web_max_connections", 2000, 100, 128)

    assert [("gateway_max_connections", 128, 256), ("web_max_connections", 1, 100)] == [
        (e["setting"], e["connections"], e["open_files"]) for e in logs
    ]
