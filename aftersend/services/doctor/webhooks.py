"""Checks of the gateway's settings: sources with secrets, valid keys, and unverified webhooks."""

from __future__ import annotations

from typing import Final

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.gateway import secrets
from aftersend.gateway.endpoints import Endpoints
from aftersend.services.doctor.findings import Finding, failed, ok, warning
from aftersend.sources.registry import REGISTRY

_CHECK: Final = "webhooks"


async def check_webhooks(settings: Settings) -> list[Finding]:
    """Check the secrets of webhooks; no gateway is contacted."""
    try:
        keys = secrets.load(settings)
        endpoints = Endpoints(settings, keys, REGISTRY, _refuse)
    except SettingsError as error:
        advice = (
            "correct it, since the gateway does not start; docs/guide/connect-a-source.md has what each provider needs"
        )
        return [failed(_CHECK, str(error), advice)]
    findings = []
    if settings.gateway_open:
        advice = "remove them from AFTERSEND_GATEWAY_OPEN unless only trusted machines can reach the gateway"
        opened = ", ".join(settings.gateway_open)
        findings.append(warning(_CHECK, f"webhooks of {opened} are accepted from anybody, unverified", advice))
    if shut := endpoints.closed_tenants():
        named = ", ".join(f"{source}/{tenant}" for source, tenant in shut)
        advice = (
            "set secrets for them by `source/tenant`, or post to /webhooks/<source> and name the tenant in the events"
        )
        found = f"tokens of tenants without a secret of their own are rejected: {named}"
        findings.append(warning(_CHECK, found, advice))
    if settings.gateway_certificates:
        found = f"certificates of {len(settings.gateway_certificates)} address(es) are read from files"
        advice = "remove AFTERSEND_GATEWAY_CERTIFICATES where real webhooks arrive: it is for simulations"
        findings.append(warning(_CHECK, found, advice))
    checked = sorted({source for source, _ in keys.secrets})
    closed = sorted(name for name, one in REGISTRY.items() if one.webhook is not None and name not in checked)
    found = f"secrets for {', '.join(checked)}" if checked else "no secrets, so all webhooks are rejected"
    if checked and closed:
        found += f"; rejected without a secret: {', '.join(closed)}"
    findings.append(ok(_CHECK, f"{found} (AFTERSEND_GATEWAY_SECRETS, AFTERSEND_GATEWAY_SECRETS_DIR)"))
    return findings


async def _refuse(url: str) -> bytes:
    """Refuse to fetch a certificate: no signature is verified here."""
    raise OSError(f"not fetched: {url}")
