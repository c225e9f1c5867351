"""Masking of personal data in answers, for callers with the role `viewer`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

_HIDDEN: Final = "***"


def mask_address(address: str) -> str:
    """Return an address with only its first letter and its domain, such as j***@example.com."""
    if not address:
        return ""
    local, at, domain = address.rpartition("@")
    if not at:
        return address[:1] + _HIDDEN
    return f"{local[:1]}{_HIDDEN}@{domain}"


def mask_url(url: str) -> str:
    """Return a URL with only its scheme and host."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return _HIDDEN
    return f"{parts.scheme}://{host}/{_HIDDEN}" if parts.scheme and host else _HIDDEN


def mask_ip(ip: str) -> str:
    """Return an IP address with only its first two groups."""
    if not ip:
        return ""
    if ":" in ip:
        return ":".join(ip.split(":")[:2]) + f":{_HIDDEN}"
    return ".".join(ip.split(".")[:2]) + f".{_HIDDEN}"


def _mask_text(text: str) -> str:
    return _HIDDEN if text else ""


def _mask_if_address(text: str) -> str:
    """Mask an id that is or contains an address."""
    return _HIDDEN if "@" in text else text


#: Masking functions by field name, at any depth of an answer.
_MASKS: Final = {
    "recipient": mask_address,
    "address": mask_address,
    "diagnostic": _mask_text,
    "url": mask_url,
    "ip": mask_ip,
    "user_agent": _mask_text,
    "event_id": _mask_if_address,
    "provider_id": _mask_if_address,
    "detail": _mask_if_address,
    "by": _mask_text,
    "why": _mask_text,
}


def masked(value: Any) -> Any:
    """Return an answer with its personal data masked."""
    if isinstance(value, dict):
        return {
            name: _MASKS[name](inner) if name in _MASKS and isinstance(inner, str) else masked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value
