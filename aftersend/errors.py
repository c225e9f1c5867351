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
#: Ctrl-C in a command that has no orderly end of its own (128 + SIGINT).
EXIT_INTERRUPTED: Final = 130

#: With these, starting again would only end the same way: a supervisor passes them on.
FATAL: Final = frozenset({EXIT_USAGE, EXIT_SETTINGS, EXIT_KAFKA, EXIT_BREAKER})


class AftersendError(Exception):
    """An error whose message tells the operator what to do; the process ends with `exit_code`."""

    exit_code = EXIT_FAILED


class UsageError(AftersendError):
    """A command was called with something that it can't do."""

    exit_code = EXIT_USAGE


class SettingsError(AftersendError):
    """A setting is missing or wrong; the message names it."""

    exit_code = EXIT_SETTINGS


class KafkaUnusableError(AftersendError):
    """Kafka can't be reached, has no transactions, or lacks topics."""

    exit_code = EXIT_KAFKA


class RedisUnusableError(AftersendError):
    """Redis can't be reached by a command that has nothing to say without it."""


class BreakerTrippedError(AftersendError):
    """Too many records in a row could not be read: a bad deploy must not drain everything into the dead letters."""

    exit_code = EXIT_BREAKER


class ContentError(Exception):
    """A transaction can't be committed because of what a record made of it; tried again, it fails again."""


class RecordTooLargeError(ContentError):
    """A record that was to be written is larger than Kafka takes."""


class FencedError(Exception):
    """Another worker has taken the partition over: what this one did since then does not count."""


class TransactionFailedError(Exception):
    """A transaction did not commit for certain; the partition has to be restored from what is committed."""


class TransactionRejectedError(TransactionFailedError):
    """The broker refused a transaction for its content; it would refuse the same again."""
