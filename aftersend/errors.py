"""Errors that end a command or a process, and their exit codes."""

from __future__ import annotations

from typing import Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SETTINGS: Final = 3
EXIT_KAFKA: Final = 4
EXIT_CRASHED: Final = 6
EXIT_DISK: Final = 7
EXIT_STATE: Final = 8
#: Ctrl-C in a command that does not handle it (128 + SIGINT).
EXIT_INTERRUPTED: Final = 130

#: Exit codes after which a restart would fail again: a supervisor ends with them.
FATAL: Final = frozenset({EXIT_USAGE, EXIT_SETTINGS, EXIT_KAFKA, EXIT_STATE})


class AftersendError(Exception):
    """An error with a message for operators on what to do; the process ends with `exit_code`."""

    exit_code = EXIT_FAILED


class UsageError(AftersendError):
    """Invalid arguments of a command."""

    exit_code = EXIT_USAGE


class SettingsError(AftersendError):
    """A missing or invalid setting, named in the message."""

    exit_code = EXIT_SETTINGS


class KafkaUnusableError(AftersendError):
    """Kafka does not answer, does not support transactions, or lacks topics."""

    exit_code = EXIT_KAFKA


class RedisOwnedError(SettingsError):
    """The keys of this prefix in Redis belong to another installation.

    Args:
        prefix: of the keys.
        owner: the other installation, as cluster and application.
        own: this one.
    """

    def __init__(self, prefix: str, owner: str, own: str) -> None:
        super().__init__(
            f"the keys {prefix}:* in Redis belong to the installation {owner} (cluster/application), this is {own}: "
            "both would write the same KPIs. Set AFTERSEND_REDIS_PREFIX to a prefix of its own, or AFTERSEND_REDIS_URL "
            f"to another Redis; if that installation no longer exists, delete the keys {prefix}:*, only a cache"
        )


class DiskUnusableError(AftersendError):
    """The disk of the local store is full, read-only or not ours, or files can't be opened. Nothing is lost."""

    exit_code = EXIT_DISK


class StateRefusedError(AftersendError):
    """The state in the changelogs is missing or damaged: folding must not continue from it."""

    exit_code = EXIT_STATE


class RedisUnusableError(AftersendError):
    """Redis does not answer a command that needs it."""


class SourcePausedError(Exception):
    """Too many of a topic's records are unreadable: its partitions pause, and nothing of the batch is committed.

    Args:
        topic: name of the topic.
        seconds: time until the next attempt.
    """

    def __init__(self, topic: str, seconds: float) -> None:
        super().__init__(
            f"too many unreadable records in {topic}: check its name and the sender. It pauses for {seconds:.0f} s; "
            "nothing is lost. `aftersend sources resume` resumes it at once; with a larger "
            "AFTERSEND_BREAKER_SHARE, more records go to the dead letters before it pauses."
        )
        self.topic = topic
        self.seconds = seconds


class ContentError(Exception):
    """A transaction can't be committed because of the content of a record; a retry would fail again."""


class RecordTooLargeError(ContentError):
    """A record to be written is larger than Kafka accepts."""


class FencedError(Exception):
    """Another worker has taken over the partition; this worker's uncommitted work is void."""


class TransactionFailedError(Exception):
    """A transaction may not have committed; the partition has to be restored from committed data."""


class TransactionRejectedError(TransactionFailedError):
    """The broker rejected a transaction because of its content; a retry would be rejected again."""
