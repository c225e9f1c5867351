"""Findings about the gateway's settings."""

import asyncio
from pathlib import Path

import pytest

from aftersend.config.loading import load
from aftersend.sandbox.simulation.signing import make_keys
from aftersend.services.doctor.findings import Finding
from aftersend.services.doctor.webhooks import check_webhooks


def check(**settings: object) -> list[Finding]:
    return asyncio.run(check_webhooks(load(**settings)))


def test_without_secrets_all_webhooks_are_rejected() -> None:
    (found,) = check()

    assert "ok" == found.result
    assert "all webhooks are rejected" in found.found


def test_secrets_in_a_folder_are_found(tmp_path: Path) -> None:
    made = make_keys(tmp_path)

    (found,) = check(gateway_secrets_dir=made.secrets)

    assert "ok" == found.result
    assert "secrets for postmark, sendgrid, ses" in found.found
    certificates, _ = check(gateway_secrets_dir=made.secrets, gateway_certificates=made.certificates)
    assert "warning" == certificates.result


@pytest.mark.parametrize(
    "secrets, words", [({"sendgrid": ("nothing",)}, "no public key"), ({"nobody": ("x" * 20,)}, "there is no source")]
)
def test_invalid_keys_are_failures(secrets: dict[str, tuple[str, ...]], words: str) -> None:
    (found,) = check(gateway_secrets=secrets)

    assert "failed" == found.result
    assert words in found.found


def test_sources_without_authentication_are_a_warning() -> None:
    found = check(gateway_open=("sendgrid",))

    assert ["warning", "ok"] == [one.result for one in found]
    assert "AFTERSEND_GATEWAY_OPEN" in found[0].advice


def test_a_token_of_no_source_is_a_warning() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:feedback"

    found = check(gateway_secrets={"ses": topic}, gateway_tokens={"a-token-of-the-brand": "brand"})

    assert ["warning", "ok"] == [one.result for one in found]
    assert found[0].found.endswith(": ses/brand")
    (found_with_one,) = check(
        gateway_secrets={"ses": topic, "ses/brand": f"{topic}-brand"}, gateway_tokens={"a-token-of-the-brand": "brand"}
    )
    assert "ok" == found_with_one.result
