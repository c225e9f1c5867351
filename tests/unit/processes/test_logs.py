import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest
import structlog

from aftersend.processes import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_with_time_level_and_name(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream=stream, fields={"worker": 3})

    structlog.get_logger("aftersend.engine").info("taken over", partition=7)

    (line,) = lines(stream)
    assert {"level": "info", "event": "taken over", "logger": "aftersend.engine", "partition": 7, "worker": 3} == {
        name: value for name, value in line.items() if name != "timestamp"
    }
    moment = datetime.fromisoformat(str(line["timestamp"]))
    assert moment.tzinfo is not None


def test_for_people(stream: io.StringIO) -> None:
    logs.configure("info", "console", stream=stream)

    structlog.get_logger("aftersend.engine").info("taken over", partition=7)

    assert "taken over" in stream.getvalue()
    assert "partition=7" in stream.getvalue()


def test_without_a_terminal_it_is_json(stream: io.StringIO) -> None:
    logs.configure("info", "auto", stream=stream)

    structlog.get_logger("aftersend.engine").info("x")

    assert "x" == lines(stream)[0]["event"]


def test_own_lines_by_level_others_from_warnings_on(stream: io.StringIO) -> None:
    logs.configure("debug", "json", stream=stream)

    structlog.get_logger("aftersend.engine").debug("ours")
    logging.getLogger("aiokafka").info("small talk")
    logging.getLogger("aiokafka").warning("broker %s away", 1)

    assert ["ours", "broker 1 away"] == [line["event"] for line in lines(stream)]


def test_what_fausts_services_say_of_themselves_is_left_out(stream: io.StringIO) -> None:
    """Ours are Faust's services too, so Faust logs under our names."""
    logs.configure("info", "json", stream=stream)

    logging.getLogger("aftersend.engine.faust.app").info("[^App]: Stopping...")
    logging.getLogger("aftersend.engine.faust.app").warning("[^App]: something real")

    assert ["[^App]: something real"] == [line["event"] for line in lines(stream)]


def test_warnings_are_logged(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream=stream)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)
        logging.captureWarnings(capture=False)

    assert "old" in str(lines(stream)[0]["event"])


def test_a_crash_with_its_traceback(stream: io.StringIO) -> None:
    logs.configure("error", "json", stream=stream)

    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        logs.crashed(error)

    (line,) = lines(stream)
    assert "critical" == line["level"]
    assert "ZeroDivisionError" in str(line["exception"])


def test_what_can_not_be_json_is_shown_all_the_same(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream=stream)

    structlog.get_logger("aftersend.engine").info("x", what=object)

    assert "object" in str(lines(stream)[0]["what"])


HOSTILE = "\x1b[2J\u202e\u200b\x9b\0\x7f\r\n2026-01-01 [info] forged\ud800"


def _log_everywhere() -> None:
    log = structlog.get_logger("aftersend.engine")
    log.warning(HOSTILE, field=HOSTILE, deep={"a": [HOSTILE]}, data=HOSTILE.encode("utf-8", "surrogatepass"))
    logging.getLogger("aiokafka").error("from a library: %s", HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.exception("failed")
    logs.crashed(OSError(HOSTILE))


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_hostile_reaches_the_log(stream: io.StringIO, form: logs.Form) -> None:
    logs.configure("info", form, stream=stream)

    _log_everywhere()

    assert [] == [c for c in stream.getvalue() if not c.isprintable() and c != "\n"]
    assert not [line for line in stream.getvalue().splitlines() if line.startswith("2026-01-01 [info] forged")]


def test_json_lines_keep_what_was_logged(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream=stream)

    structlog.get_logger("aftersend.engine").info("x", text="\x1b\u202e")

    (line,) = lines(stream)
    assert "\x1b\u202e" == line["text"]
