from pathlib import Path

from aftersend.publish.prometheus.drift import write_check


def test_the_file_has_the_result_of_the_check(tmp_path: Path) -> None:
    path = tmp_path / "aftersend.prom"
    write_check(path, drift=2, compared=100, at=1790000000.0)
    assert {
        "aftersend_compute_stats_drift 2.0",
        "aftersend_compute_stats_compared 100.0",
        "aftersend_compute_stats_timestamp_seconds 1.79e+09",
    } == {line for line in path.read_text().splitlines() if not line.startswith("#")}
    assert [path] == list(tmp_path.iterdir())
