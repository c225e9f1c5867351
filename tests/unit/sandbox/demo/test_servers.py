import os
from pathlib import Path

import pytest

from aftersend.sandbox.demo.servers import DemoFailedError, ServerProcess, _environment, _first_of_free_ports, _settings
from aftersend.sandbox.embedded.ports import is_free


def test_settings_of_a_real_installation_stay_out_of_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFTERSEND_KAFKA_BOOTSTRAP", "production:9092")
    monkeypatch.setenv("aftersend_topic_prefix", "production")
    chosen = {"kafka_bootstrap": "127.0.0.1:1", "partitions": 4}
    environment = _environment(chosen)
    ours = {name: value for name, value in environment.items() if name.upper().startswith("AFTERSEND_")}
    assert {"AFTERSEND_KAFKA_BOOTSTRAP": "127.0.0.1:1", "AFTERSEND_PARTITIONS": "4"} == ours
    assert os.environ["PATH"] == environment["PATH"]
    settings = _settings(chosen, tmp_path)
    assert ("127.0.0.1:1", "feedback") == (settings.kafka_bootstrap, settings.topic_prefix)


def test_no_settings_file_of_the_current_folder_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, empty = tmp_path / "here", tmp_path / "empty"
    here.mkdir()
    empty.mkdir()
    (here / ".env").write_text("AFTERSEND_TOPIC_PREFIX=production\n")
    monkeypatch.chdir(here)
    assert "feedback" == _settings({}, empty).topic_prefix


def test_processes_get_ports_in_a_row() -> None:
    first = _first_of_free_ports(3)
    assert all(is_free(first + i) for i in range(3))


def test_a_worker_that_exits_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    workers = ServerProcess("worker", {"PATH": os.environ["PATH"], "AFTERSEND_PARTITIONS": "none"}, tmp_path, [1])
    workers.start()
    assert workers._process is not None
    workers._process.wait(30)
    with pytest.raises(DemoFailedError, match="exited with code 3"):
        workers.check()
    assert not workers.ready()
    workers.stop()
