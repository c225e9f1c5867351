"""Simulators are for demo and trials: production never imports one."""

import subprocess
import sys

import pytest

PRODUCTION = ("aftersend.processes.worker", "aftersend.processes.gateway", "aftersend.console.api.app")


@pytest.mark.parametrize("module", PRODUCTION)
def test_production_loads_no_simulator(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "print(*[m for m in sys.modules if m.endswith('.simulator') or m.startswith('aftersend.sources.simulation')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert "" == loaded.strip()
