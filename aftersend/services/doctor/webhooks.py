"""Checks of the gateway's settings: which webhooks are open, to whom, and whether their secrets can be keys."""

from __future__ import annotations

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.gateway import secrets
from aftersend.gateway.endpoints import Endpoints
from aftersend.services.doctor.findings import Finding, failed, ok, warning
from aftersend.sources.registry import REGISTRY

_CHECK = "webhooks"


async def check_webhooks(settings: Settings) -> list[Finding]:
    """Check the secrets of the webhooks; nothing is asked of a gateway."""
    try:
        keys = secrets.load(settings)
        Endpoints(settings, keys, REGISTRY, _fetch_nothing)
    except SettingsError as error:
        advice = "correct it: docs/guide/connect-a-source.md has what each provider needs; the gateway will not start"
        return [failed(_CHECK, str(error), advice)]
    findings = []
    if settings.gateway_open:
        advice = "take them out of AFTERSEND_GATEWAY_OPEN unless only trusted machines can reach the gateway"
        opened = ", ".join(settings.gateway_open)
        findings.append(warning(_CHECK, f"anybody may post to {opened}, without a signature", advice))
    if settings.gateway_certificates:
        told = f"certificates of {len(settings.gateway_certificates)} address(es) are read from files"
        advice = "take AFTERSEND_GATEWAY_CERTIFICATES away where real webhooks come in: it is for simulations"
        findings.append(warning(_CHECK, told, advice))
    checked = sorted({source for source, _ in keys.secrets})
    closed = sorted(name for name, one in REGISTRY.items() if one.webhook is not None and name not in checked)
    told = f"secrets for {', '.join(checked)}" if checked else "no secrets, so nothing is taken over HTTP"
    if checked and closed:
        told += f"; closed, for want of a secret: {', '.join(closed)}"
    findings.append(ok(_CHECK, f"{told} (AFTERSEND_GATEWAY_SECRETS, AFTERSEND_GATEWAY_SECRETS_DIR)"))
    return findings


async def _fetch_nothing(url: str) -> bytes:
    """Refuse to fetch anything: no request is checked here."""
    raise OSError(f"not fetched: {url}")
