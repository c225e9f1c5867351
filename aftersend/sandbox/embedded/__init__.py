"""A real Kafka and a real Redis, started by Aftersend itself: no Docker, no root, nothing installed beforehand.

The demo, the tests and `aftersend demo` run on these; production points the same settings at servers of its own.
"""

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.kafka import EmbeddedKafka
from aftersend.sandbox.embedded.process import EmbeddedProcess
from aftersend.sandbox.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedKafka", "EmbeddedProcess", "EmbeddedRedis", "EmbeddedUnavailableError"]
