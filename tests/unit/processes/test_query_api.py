"""What the settings make of the query API."""

from pathlib import Path

import pytest

from aftersend.config.loading import load
from aftersend.errors import SettingsError
from aftersend.processes.query_api import tokens_of

TOKEN = "0123456789abcdef"


def test_tokens_of_settings_and_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# who may ask\n\n{TOKEN}-file operator  # the console\n")

    tokens = tokens_of(load(api_tokens={TOKEN: "viewer"}, api_tokens_file=path))

    assert {TOKEN: "viewer", f"{TOKEN}-file": "operator"} == tokens


@pytest.mark.parametrize("line", [f"{TOKEN}", f"{TOKEN} admin", "short viewer", f"{TOKEN} viewer now"])
def test_a_file_that_is_wrong_names_the_line_and_not_the_token(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"\n{line}\n")

    with pytest.raises(SettingsError, match=r"AFTERSEND_API_TOKENS_FILE.*line 2") as error:
        tokens_of(load(api_tokens_file=path))

    assert TOKEN not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        tokens_of(load(api_tokens_file=tmp_path / "none"))


@pytest.mark.parametrize("tokens", [{TOKEN: "admin"}, {"short": "viewer"}])
def test_tokens_that_can_not_be_are_refused_without_being_shown(tokens: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="AFTERSEND_API_TOKENS") as error:
        load(api_tokens=tokens)

    assert not [token for token in tokens if token in str(error.value)]


def test_tokens_are_not_shown_with_the_settings() -> None:
    assert TOKEN not in repr(load(api_tokens={TOKEN: "viewer"}))


def test_open_to_all_only_on_this_machine() -> None:
    assert load(api_open=True).api_open
    with pytest.raises(SettingsError, match="loopback"):
        load(api_open=True, web_host="0.0.0.0")  # noqa: S104 - what is refused


@pytest.mark.parametrize(
    "given, reached_at",
    [
        ({}, "http://127.0.0.1:6066"),
        ({"web_host": "::1", "web_port": 80}, "http://[::1]:80"),
        ({"advertised_url": "https://w1.internal:6066"}, "https://w1.internal:6066"),
        ({"web_port": 0, "advertised_url": "https://w1.internal:6066"}, ""),
    ],
)
def test_where_a_worker_is_reached(given: dict[str, object], reached_at: str) -> None:
    assert reached_at == load(**given).reached_at


def test_a_worker_that_listens_everywhere_is_reached_by_its_machines_name() -> None:
    url = load(web_host="0.0.0.0").reached_at  # noqa: S104 - as in a container

    assert "0.0.0.0" not in url  # noqa: S104
    assert url.endswith(":6066")
