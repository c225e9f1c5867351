from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from aftersend.gateway.http.access_log import AccessLog

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Give the lines that are logged from now on."""
    with capture_logs() as captured:
        yield captured


def test_only_what_was_not_accepted_is_logged_by_default(lines: Lines) -> None:
    log = AccessLog("errors", show_ip=False)
    log.line("sendgrid", 200, 0.1, 10, "", "192.0.2.1")
    log.line("sendgrid", 401, 0.1234, 10, "the signature is wrong", "192.0.2.1")
    assert [
        {
            "event": "webhook",
            "log_level": "info",
            "source": "sendgrid",
            "status": 401,
            "ms": 123.4,
            "bytes": 10,
            "why": "the signature is wrong",
        }
    ] == lines


def test_the_address_is_shown_where_it_is_wanted(lines: Lines) -> None:
    AccessLog("all", show_ip=True).line("sendgrid", 200, 0.1, 10, "", "192.0.2.1")
    AccessLog("off", show_ip=True).line("sendgrid", 401, 0.1, 10, "", "192.0.2.1")
    assert ["192.0.2.1"] == [line["ip"] for line in lines]


def test_lines_of_a_second_are_bounded_and_counted(lines: Lines) -> None:
    now = 5.0
    log = AccessLog("errors", show_ip=False, now=lambda: now)
    for _ in range(1000):
        log.line("sendgrid", 503, 0.1, 10, "", "")
    assert 20 == len(lines)
    now = 6.0
    log.line("sendgrid", 503, 0.1, 10, "", "")
    assert 980 == lines[-1]["lines_left_out"]
