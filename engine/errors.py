"""What can go wrong for good, and the exit code that each ends the process with."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SETTINGS: Final = 3
EXIT_KAFKA: Final = 4
EXIT_BREAKER: Final = 5
EXIT_CRASHED: Final = 6


class AftersendError(Exception):
    """An error whose message tells the operator what to do; the process ends with `exit_code`."""

    exit_code = EXIT_FAILED


class SettingsError(AftersendError):
    """A setting is missing or wrong; the message names it."""

    exit_code = EXIT_SETTINGS


class KafkaUnusableError(AftersendError):
    """Kafka can't be reached, has no transactions, or lacks topics."""

    exit_code = EXIT_KAFKA


class BreakerTrippedError(AftersendError):
    """Too many records in a row could not be read: a bad deploy must not drain everything into the dead letters."""

    exit_code = EXIT_BREAKER


class FencedError(Exception):
    """Another worker has taken the partition over: what this one did since then does not count."""


class TransactionFailedError(Exception):
    """A transaction did not commit for certain; the partition has to be restored from what is committed."""
