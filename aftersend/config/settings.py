"""All settings, joined from their sections and validated together."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aftersend.config.origins import DotEnvFile, Environment, SettingsFile
from aftersend.config.sections.alerts import AlertSettings
from aftersend.config.sections.api import ApiSettings
from aftersend.config.sections.batches import BatchSettings
from aftersend.config.sections.breaker import BreakerSettings
from aftersend.config.sections.gateway import GatewaySettings
from aftersend.config.sections.group import GroupSettings
from aftersend.config.sections.health import HealthSettings
from aftersend.config.sections.http import HttpSettings
from aftersend.config.sections.kafka import KafkaSettings
from aftersend.config.sections.logging import LoggingSettings
from aftersend.config.sections.periods import PeriodSettings
from aftersend.config.sections.redis import RedisSettings
from aftersend.config.sections.sources import SourceSettings
from aftersend.config.sections.store import StoreSettings
from aftersend.config.sections.topics import TopicSettings
from aftersend.config.types import PREFIX
from aftersend.schemas.topics import Topics

#: Until a broker has noticed that a transaction has timed out, and has ended it, seconds: its default interval is 10.
_TRANSACTION_END_SECONDS: Final = 15.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
#: Values of `web_host` that listen on every address, and so are no address to be reached at.
_ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not listened on


# Pydantic collects the fields of the last base first, so the bases are listed in reverse order of the documentation.
class Settings(
    LoggingSettings,
    GatewaySettings,
    HttpSettings,
    ApiSettings,
    HealthSettings,
    BreakerSettings,
    SourceSettings,
    AlertSettings,
    PeriodSettings,
    StoreSettings,
    RedisSettings,
    BatchSettings,
    TopicSettings,
    KafkaSettings,
    GroupSettings,
    BaseSettings,
):
    """Settings of an installation. Times are in seconds and sizes in bytes unless a name has another unit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        toml_file="aftersend.toml",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
    )

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> Settings:
        if self.api_open and self.web_host not in _LOOPBACK:
            raise ValueError("api_open needs a loopback web_host (127.0.0.1, ::1 or localhost): set api_tokens instead")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.retention_days < self.statistics_update_period_days:
            raise ValueError("retention_days must not be less than statistics_update_period_days")
        if self.heartbeat_interval * 2 >= self.session_timeout:
            raise ValueError("heartbeat_interval must be less than half of session_timeout")
        if self.session_timeout > self.request_timeout:
            raise ValueError("request_timeout must not be less than session_timeout")
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_username:
            raise ValueError("kafka_username must be set with a SASL kafka_security_protocol")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the origins in order of precedence: the caller, the environment, `.env`, `aftersend.toml`."""
        del env_settings, dotenv_settings  # replaced by origins that accept aliases
        return (
            init_settings,
            Environment(settings_cls),
            DotEnvFile(settings_cls),
            SettingsFile(settings_cls),
            file_secret_settings,
        )

    @property
    def topics(self) -> Topics:
        """Names of the topics."""
        return Topics(self.topic_prefix, self.events_topic, self.raw_topics)

    @property
    def stable_timeout(self) -> float:
        """Seconds after which no transaction that was open can still be: offsets and positions are stable then."""
        return self.transaction_timeout + _TRANSACTION_END_SECONDS

    @property
    def reached_at(self) -> str:
        """URL at which other workers reach this one; "" if nothing is served."""
        if not self.web_port:
            return ""
        host = socket.gethostname() if self.web_host in _ALL_ADDRESSES else self.web_host
        return self.advertised_url or f"http://{f'[{host}]' if ':' in host else host}:{self.web_port}"

    def kafka_options(self) -> dict[str, Any]:
        """Return the connection options for aiokafka's clients."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap.split(","),
            "security_protocol": self.kafka_security_protocol,
            "request_timeout_ms": int(self.request_timeout * 1000),
        }
        if "SSL" in self.kafka_security_protocol:
            options["ssl_context"] = ssl.create_default_context(cafile=self.kafka_ca_file)
        if self.kafka_security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": self.kafka_password,
            }
        return options
