"""A real Kafka and a real Redis, started by Aftersend itself: no Docker, no root, nothing installed beforehand.

The demo, the tests and `aftersend demo` run on these; production points the same settings at servers of its own.
"""

from engine.embedded.errors import EmbeddedUnavailableError
from engine.embedded.kafka import EmbeddedKafka
from engine.embedded.process import EmbeddedProcess
from engine.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedKafka", "EmbeddedProcess", "EmbeddedRedis", "EmbeddedUnavailableError"]
