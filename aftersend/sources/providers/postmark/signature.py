"""Postmark signs nothing: its requests show the basic auth credentials that were set for the webhook.

Source: Postmark, "Webhooks overview" (protecting your webhook).
"""

from __future__ import annotations

from aftersend.sources.signing.credentials import verifier

__all__ = ["verifier"]
