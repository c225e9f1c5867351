"""Who may read /metrics."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from aftersend.config.loading import load
from aftersend.errors import SettingsError
from aftersend.processes.metrics import metrics_route
from aftersend.publish.prometheus.page import MetricsPage

TOKEN = "0123456789abcdef"


def status(authorization: str | None = None, **settings: Any) -> int:
    route = metrics_route(load(**settings), MetricsPage("worker"))
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    answer: Response = asyncio.run(route.endpoint(Request({"type": "http", "method": "GET", "headers": headers})))
    assert (b"aftersend_build_info" in bytes(answer.body)) == (answer.status_code == 200)
    assert ("Bearer" in answer.headers.get("www-authenticate", "")) == (answer.status_code == 401)
    return answer.status_code


def test_without_a_token_everybody_may_read_it() -> None:
    assert 200 == status()
    assert 200 == status("Bearer of nothing")


@pytest.mark.parametrize(
    "authorization, expected",
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (None, 401),
        ("", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
    ],
)
def test_a_token_is_asked_for_where_one_is_set(authorization: str | None, expected: int) -> None:
    assert expected == status(authorization, metrics_token=TOKEN)


def test_each_token_of_the_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# of two servers\n\n{TOKEN}-1\n  {TOKEN}-2  # rotated in May\n")

    settings = {"metrics_token": TOKEN, "metrics_tokens_file": path}

    given = [TOKEN, f"{TOKEN}-1", f"{TOKEN}-2", f"{TOKEN}-3"]
    assert [200, 200, 200, 401] == [status(f"Bearer {token}", **settings) for token in given]


@pytest.mark.parametrize("text, words", [("", "holds no token"), ("\nshort", "line 2"), (f"{TOKEN} viewer", "line 1")])
def test_a_file_without_tokens_does_not_open_the_page(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)

    with pytest.raises(SettingsError, match=f"AFTERSEND_METRICS_TOKENS_FILE.*{words}") as error:
        metrics_route(load(metrics_tokens_file=path), MetricsPage("worker"))

    assert TOKEN not in str(error.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        metrics_route(load(metrics_tokens_file=tmp_path / "none"), MetricsPage("worker"))


def test_a_token_that_can_be_guessed_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match=r"AFTERSEND_METRICS_TOKEN.*16 characters") as error:
        load(metrics_token="hunter2")

    assert "hunter2" not in str(error.value)
    assert TOKEN not in repr(load(metrics_token=TOKEN))
