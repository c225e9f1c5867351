from pathlib import Path
from typing import Any

import pytest

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.gateway import secrets

TOKEN = "a-token-of-the-brand"


def settings(folder: Path | None = None, **given: Any) -> Settings:
    return load(gateway_secrets_dir=folder, **given)


def test_settings_and_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "sendgrid").write_text("# rotated in May\nsecond\n\n  third  \n")
    (tmp_path / "sendgrid.shop").write_text("of the shop")
    (tmp_path / secrets.TOKENS_FILE).write_text("another-token-of-ours Brand & Sons\n")
    (tmp_path / "..data").write_text("of the volume's own")
    (tmp_path / "folder").mkdir()
    found = secrets.load(
        settings(tmp_path, gateway_secrets={"sendgrid": "first", "ses/shop": ["a", "b"]}, gateway_tokens={TOKEN: "x"})
    )
    assert {
        ("sendgrid", ""): ("first", "second", "third"),
        ("sendgrid", "shop"): ("of the shop",),
        ("ses", "shop"): ("a", "b"),
    } == found.secrets
    assert {TOKEN: "x", "another-token-of-ours": "Brand & Sons"} == found.tokens


def test_a_pem_block_is_one_secret(tmp_path: Path) -> None:
    block = "-----BEGIN PUBLIC KEY-----\nMFkw\nEwYH\n-----END PUBLIC KEY-----"
    (tmp_path / "sendgrid").write_text(f"# two of them\n{block}\n{block}\n")
    assert (block, block) == secrets.load(settings(tmp_path)).secrets["sendgrid", ""]


def test_what_cannot_be_read_is_told_without_the_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gateway_secrets_dir"):
        secrets.load(settings(tmp_path / "nowhere"))
    (tmp_path / "sendgrid").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="sendgrid can't be read"):
        secrets.load(settings(tmp_path))
    with pytest.raises(SettingsError, match="less than 16 characters") as caught:
        secrets.load(settings(gateway_tokens={"hunter2": "brand"}))
    assert "hunter2" not in str(caught.value)


def test_the_directory_version_changes_with_the_files(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    versions = [secrets.directory_version(chosen)]
    (tmp_path / "sendgrid").write_text("one")
    versions.append(secrets.directory_version(chosen))
    (tmp_path / "sendgrid").write_text("three")
    versions.append(secrets.directory_version(chosen))
    (tmp_path / "ses").write_text("one")
    versions.append(secrets.directory_version(chosen))
    assert len(versions) == len(set(versions))
    assert versions[-1] == secrets.directory_version(chosen)


def test_a_wrong_secret_is_not_shown_by_the_settings() -> None:
    with pytest.raises(SettingsError) as caught:
        load(gateway_secrets={"sendgrid": {"secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load(gateway_secrets={"sendgrid": "hunter2"}, gateway_tokens={"hunter2": ""}))
