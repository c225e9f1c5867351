import re

import pytest

from aftersend.cli.render.output import count, local, print_json, share
from aftersend.schemas.times import iso


def test_times_in_json_are_utc() -> None:
    assert "2025-09-12T11:08:01.440Z" == iso(1757675281.44)
    assert iso(None) is None
    assert iso(0.0) is None


def test_local_times_have_their_zone() -> None:
    assert re.fullmatch(r"2025-09-1[123] \d\d:08:01 [+-]\d{4}", local(1757675281.44))
    assert "" == local(None)


def test_numbers_and_shares_are_formatted() -> None:
    assert "1,234,567" == count(1234567)
    assert "12.35%" == share(0.12345)
    assert "-" == share(None)


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1, "ü\n"]})

    assert '{"a":[1,"ü\\n"]}\n' == capsys.readouterr().out
