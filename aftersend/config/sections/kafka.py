"""Settings of the connection to Kafka."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator


class KafkaSettings(BaseModel):
    """The connection to Kafka."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, separated by commas.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Encryption and authentication of connections to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="Authentication mechanism, with a SASL protocol."
    )
    kafka_username: str = Field("", description="User, with a SASL protocol.")
    kafka_password: str = Field("", description="Password, with a SASL protocol.", repr=False)
    kafka_ca_file: Path | None = Field(
        None, description="PEM file with the certificate authorities to trust, with an SSL protocol."
    )

    @field_validator("kafka_bootstrap")
    @classmethod
    def _without_spaces(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        if not all(servers):
            raise ValueError("must be host:port, separated by commas")
        return ",".join(servers)

    @field_validator("kafka_ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=value)
            except OSError as error:  # also for a file without a certificate
                raise ValueError(f"can't be used: {error.strerror or error}") from error
        return value
