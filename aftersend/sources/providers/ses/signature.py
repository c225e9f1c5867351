"""Amazon SES signs nothing itself: Amazon SNS, which brings its events, signs every message."""

from __future__ import annotations

from aftersend.sources.signing.sns import verifier

__all__ = ["verifier"]
