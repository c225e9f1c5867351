"""Starts a real Kafka and a real Redis as child processes, without Docker, root rights or prior installation.

`aftersend demo` and the tests use them; in production, the same settings name the addresses of other servers.
"""

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.kafka import EmbeddedKafka
from aftersend.sandbox.embedded.kafka_config import Credentials
from aftersend.sandbox.embedded.process import EmbeddedProcess
from aftersend.sandbox.embedded.redis import EmbeddedRedis

__all__ = ["Credentials", "EmbeddedKafka", "EmbeddedProcess", "EmbeddedRedis", "EmbeddedUnavailableError"]
