from pathlib import Path

from aftersend.cli.commands.worker import for_process
from aftersend.config.loading import load


def test_each_process_has_a_directory_and_a_port_of_its_own() -> None:
    settings = load(data_dir=Path("/data"), web_port=7000)

    assert (Path("/data/worker-0"), 7000) == (for_process(settings, 0).data_dir, for_process(settings, 0).web_port)
    assert (Path("/data/worker-2"), 7002) == (for_process(settings, 2).data_dir, for_process(settings, 2).web_port)


def test_port_0_is_port_0_for_every_process() -> None:
    assert 0 == for_process(load(web_port=0), 3).web_port
