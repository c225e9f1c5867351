"""Settings: from the environment (`AFTERSEND_…`), a `.env` file or a settings file, checked at start."""

from __future__ import annotations

import difflib
import json
import socket
import ssl
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from aftersend.errors import SettingsError
from aftersend.schemas.topics import Topics

PREFIX: Final = "AFTERSEND_"
_MIB: Final = 1024 * 1024
#: Shorter tokens could be guessed, characters.
MIN_TOKEN: Final = 16
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - to be recognised

#: From the environment by commas, or as a JSON array; in a file as a list.
Names = Annotated[tuple[str, ...], NoDecode]
#: From the environment as a JSON object; in a file as a table.
Mapped = Annotated[dict[str, str], NoDecode]
#: The same, with one value or a list of them for each name.
MappedNames = Annotated[dict[str, tuple[str, ...]], NoDecode]


#: Names that other products have for a setting of ours; in the environment behind our prefix, in any case.
OTHER_NAMES: Final = {"MailingStatisticUpdatePeriod": "statistics_update_period_days"}
_OURS: Final = {name.lower(): ours for name, ours in OTHER_NAMES.items()}


def _under_our_names(values: dict[str, Any]) -> dict[str, Any]:
    """Return what one source says, under our own names; what it says under two names stays, to be complained of."""
    for given in list(values):
        ours = _OURS.get(given.lower().removeprefix(PREFIX.lower()))
        if ours is not None and ours not in values:
            values[ours] = values.pop(given)
    return values


class _Env(EnvSettingsSource):
    """The environment."""

    def __call__(self) -> dict[str, Any]:
        """Return what it says of us."""
        others = {name: self.env_vars.get(PREFIX.lower() + name) for name in _OURS}
        return _under_our_names(super().__call__() | {name: value for name, value in others.items() if value})


class AlertLimit(BaseModel):
    """A threshold that a tenant wants to be otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The share above which the alert is raised; 0.05 is 5 %, and above 1 there is none.
    limit: float | None = Field(None, ge=0, le=1)
    #: No alert while fewer have been sent (or delivered, where the share is of those).
    minimum: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _limit_alone(cls, value: Any) -> Any:
        return {"limit": value} if isinstance(value, (int, float)) else value


#: By the names of `aftersend.rules.kpi.alerts.THRESHOLDS`.
AlertName = Literal["hard_bounces", "unsubscribes", "complaints"]
#: Stands for all tenants that have no thresholds of their own.
ANY_TENANT: Final = "*"


class _DotEnv(DotEnvSettingsSource):
    """A `.env` file that others may use too: only what begins with our prefix is ours, and then it has to be right."""

    def __call__(self) -> dict[str, Any]:
        """Return what the file says of us."""
        ours = PREFIX.lower()
        known = self.settings_cls.model_fields
        said = {name: value for name, value in super().__call__().items() if name in known or name.startswith(ours)}
        return _under_our_names(said)


class _Toml(TomlConfigSettingsSource):
    """The file `aftersend.toml`."""

    def __call__(self) -> dict[str, Any]:
        """Return what the file says."""
        return _under_our_names(super().__call__())


class Settings(BaseSettings):
    """Everything an operator may set. Times are in seconds, sizes in bytes unless a name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        toml_file="aftersend.toml",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
    )

    app_id: str = Field(
        "aftersend",
        pattern=r"^[A-Za-z0-9._-]+$",
        max_length=100,
        description="Consumer group, and how every transactional id begins. Workers that share it share the work.",
    )

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, separated by commas.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in, with a SASL protocol."
    )
    kafka_username: str = Field("", description="User, with a SASL protocol.")
    kafka_password: str = Field("", description="Password, with a SASL protocol.", repr=False)
    kafka_ca_file: Path | None = Field(None, description="Certificates of the authorities to trust, with SSL.")
    topic_prefix: str = Field(
        "feedback", pattern=r"^[A-Za-z0-9._-]+$", max_length=100, description="What every topic's name starts with."
    )
    events_topic: str = Field("", description="The topic of canonical events, if not `<topic_prefix>.events`.")
    raw_topics: Mapped = Field(
        {}, description="Raw topics of other names than `<topic_prefix>.raw.<source>`, by source (JSON object)."
    )
    partitions: int = Field(
        8,
        ge=1,
        le=16_000,
        description="Partitions of each topic that `topics apply` creates; can't be changed afterwards.",
    )
    replication_factor: int = Field(
        -1, ge=-1, description="Replicas of each topic that `topics apply` creates; -1: the broker's default."
    )
    raw_retention_days: float = Field(90.0, gt=0, description="How long raw records and events can be replayed, days.")
    session_timeout: float = Field(30.0, gt=0, description="A worker that is silent for so long loses its partitions.")
    heartbeat_interval: float = Field(3.0, gt=0, description="How often a worker says that it is there.")
    rebalance_timeout: float = Field(10.0, gt=0, description="How long a rebalance waits for a member.")
    transaction_timeout: float = Field(
        60.0, gt=0, description="After so long a transaction counts as failed; at most the broker's 15 minutes."
    )
    request_timeout: float = Field(40.0, gt=0, description="How long to wait for an answer from a broker.")
    max_batch_records: int = Field(20_000, ge=1, description="Records in one batch, that is in one transaction.")
    max_fetch_bytes: int = Field(
        4 * _MIB,
        ge=64 * 1024,
        description="Events fetched at once, of all partitions together. More is quicker, and takes memory.",
    )
    max_raw_fetch_bytes: int = Field(
        16 * _MIB,
        ge=64 * 1024,
        description="Raw records fetched at once, of all partitions together; they are larger than events.",
    )
    check_crcs: bool = Field(default=True, description="Check the checksum of fetched batches.")

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey that serves the live KPIs.")
    redis_prefix: str = Field("aftersend", min_length=1, description="What every key in Redis starts with.")
    redis_interval: float = Field(0.25, gt=0, le=1.0, description="How often changed KPIs are written to Redis.")
    redis_expiry_days: float = Field(
        45.0, gt=0, description="KPIs of a delivery that nothing was heard of for so long leave Redis (never Kafka)."
    )

    store: Literal["memory", "rocksdb"] = Field(
        "memory", description="Where rows live: `memory` (fastest) or `rocksdb` (bounded memory, quick restart)."
    )
    data_dir: Path = Field(Path("data"), description="Where the RocksDB store keeps its files.")
    rocksdb_cache_mib: int = Field(
        64, ge=8, description="Memory for RocksDB's blocks, of all partitions together, MiB."
    )
    store_max_age_hours: float = Field(
        12.0, gt=0, lt=24.0, description="Local state that was last in use longer ago is thrown away and restored."
    )

    statistics_update_period_days: float = Field(
        30.0,
        gt=0,
        description="From a delivery's start until its statuses and KPIs are final, days. Also under the name that "
        "Creatio has for it, `MailingStatisticUpdatePeriod` (`AFTERSEND_MAILINGSTATISTICUPDATEPERIOD`).",
    )
    retention_days: float = Field(
        120.0, gt=0, description="From a delivery's start until its rows are tombstoned (KPIs stay), days."
    )
    response_window_hours: float = Field(
        48.0, gt=0, description="Without an outcome for so long a sent message counts as unknown, hours."
    )
    address_validity: Literal["five-in-a-row", "at-once"] = Field(
        "five-in-a-row",
        description="When an address counts as invalid: after five hard bounces in a row with one reason, or one.",
    )
    unsubscribe_scope: Literal["all", "type"] = Field(
        "all",
        description="What an unsubscribe keeps from being mailed: everything, or messages of the type it came from.",
    )
    clock_interval: float = Field(
        5.0, gt=0, description="How often the leader's clock writes a tick, which is the heartbeat of /metrics, too."
    )

    alert_thresholds: Annotated[dict[str, dict[AlertName, AlertLimit]], NoDecode] = Field(
        {},
        description="By tenant, or `*` for all others: what a delivery is alarmed of, as "
        '`{"*": {"complaints": 0.002}, "acme": {"hard_bounces": {"limit": 0.03, "minimum": 500}}}` (JSON object). What '
        "is left out stays: `hard_bounces` and `unsubscribes` above 5 % of at least 100 messages, `complaints` above "
        "0.1 % of 1,000. A limit of 1 is never exceeded.",
    )

    delivery_keys: Names = Field(
        ("delivery_id", "campaign_id", "campaign"),
        description="Metadata keys that hold the delivery id, the first found counts.",
    )
    message_type_keys: Names = Field(("message_type",), description="Metadata keys that hold the message type.")
    tenant_keys: Names = Field(("tenant",), description="Metadata keys that hold the tenant.")
    test_keys: Names = Field(("test",), description="Metadata keys that mark test messages.")
    delivery_headers: Names = Field(
        (), description="Message headers that hold the delivery id, asked when the metadata say nothing."
    )
    campaign_from_queue: bool = Field(
        default=True,
        description="Take delivery and tenant from the name of KumoMTA's queue (`campaign:tenant@domain`) when nothing "
        "else says.",
    )
    return_path: str = Field(
        "",
        description="A regular expression over the return path of an asynchronous bounce, with the named groups "
        "`delivery` and, with VERP, `recipient`.",
    )
    unsubscribe_urls: Names = Field(
        ("/unsubscribe", "/optout", "/opt-out"),
        description="What marks a clicked link as the unsubscribe link, by being part of its URL.",
    )

    breaker_share: float = Field(
        0.5, gt=0, le=1, description="The worker stops when more than this share of the last records can't be read."
    )
    breaker_records: int = Field(1000, ge=10, description="How many of the last records the breaker looks at.")

    web_host: str = Field("127.0.0.1", description="Where /live, /ready and /metrics are served.")
    web_port: int = Field(6066, ge=0, le=65535, description="Port of /live, /ready and /metrics; 0: not served.")
    metrics_deliveries: int = Field(
        20,
        ge=0,
        le=1000,
        description="Deliveries that /metrics shows by their ids, those active last; all others are `__other__`.",
    )
    stall_seconds: float = Field(
        120.0, gt=0, description="/live fails when there is work and nothing was committed for so long."
    )

    advertised_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s?#]+)?$",
        description="Where other workers reach this one for the query API; none: `http://<web_host>:<web_port>`, with "
        "the machine's name where it listens everywhere.",
    )
    api_tokens: Mapped = Field(
        {},
        description="Roles by token, for the query API: `viewer` (personal data masked) or `operator` (JSON object). "
        "Without any, here and in `api_tokens_file`, the API is off.",
        repr=False,
    )
    api_tokens_file: Path | None = Field(None, description="More of them: a token and its role a line.")
    api_open: bool = Field(
        default=False,
        description="Answer the query API without tokens, to whoever is on this machine; needs a loopback `web_host`.",
    )

    gateway_host: str = Field("127.0.0.1", description="Where `aftersend gateway` takes in webhooks; 0.0.0.0: all.")
    gateway_port: int = Field(8080, ge=1, le=65535, description="Its port; all its processes share it.")
    gateway_admin_port: int = Field(
        6166,
        ge=0,
        le=65535,
        description="Port of the gateway's /live, /ready and /metrics, at `web_host`; of several processes the second "
        "has the next one, and so on; 0: not served.",
    )
    gateway_secrets: MappedNames = Field(
        {},
        description="By source, or by `source/tenant`: what its webhooks are checked with, one secret or several "
        "(JSON object). All of them count, so that they can be changed without losing anything.",
        repr=False,
    )
    gateway_tokens: Mapped = Field(
        {},
        description="Tenants by token: who posts to `/webhooks/<source>/<token>` speaks for that tenant (JSON object).",
        repr=False,
    )
    gateway_secrets_dir: Path | None = Field(
        None,
        description="A folder with more secrets and tokens, read again when anything in it changes: `<source>` or "
        "`<source>.<tenant>`, a secret a line; `tokens`, a token and its tenant a line.",
    )
    gateway_certificates: Mapped = Field(
        {},
        description="Files (PEM) by the addresses of certificates, taken instead of fetching these (JSON object): for "
        "simulated SES webhooks (`aftersend simulate ses`), never where real ones come in. Whoever has such a "
        "certificate's key can sign what he likes.",
    )
    gateway_token_sources: Names = Field(
        ("kumomta", "tracking"),
        description="Sources that sign nothing and that a token alone lets in; others want a secret of their own.",
    )
    gateway_open: Names = Field(
        (), description="Sources whose webhooks are taken from anybody, unchecked: for trusted networks only."
    )
    gateway_tolerance: float | None = Field(
        None, gt=0, description="How old a signed timestamp may be; none: what suits the provider's own repetitions."
    )
    gateway_max_body_bytes: int = Field(
        990_000,
        ge=1024,
        le=990_000,
        description="Longest body; less where the provider sends less. Kafka's default for records is the upper limit.",
    )
    gateway_max_inflight_bytes: int = Field(
        64 * _MIB,
        ge=_MIB,
        description="Bodies in memory that Kafka has not acknowledged; what comes beyond is asked to come again (503).",
    )
    gateway_max_connections: int = Field(2000, ge=1, description="Connections at a time of one process.")
    gateway_read_timeout: float = Field(10.0, gt=0, description="How long a request may take to come in (408).")
    gateway_answer_within: float = Field(
        8.0, gt=0, description="How long Kafka may take before the provider is asked to come again (503)."
    )
    gateway_linger: float = Field(
        0.005, ge=0, le=1, description="How long bodies are gathered before they are written to Kafka together."
    )
    gateway_retry_after: int = Field(10, ge=1, description="`Retry-After` of a 503, seconds.")
    gateway_drain_seconds: float = Field(
        20.0, gt=0, description="How long requests that are under way may take to end after SIGTERM."
    )
    gateway_access_log: Literal["off", "errors", "all"] = Field(
        "errors", description="Requests that get a log line; the metrics count all of them."
    )
    gateway_log_ip: bool = Field(default=False, description="Show in these lines the address that a request came from.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is worth a log line.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: for people on a terminal, else JSON lines."
    )

    @field_validator(
        "delivery_keys",
        "message_type_keys",
        "tenant_keys",
        "test_keys",
        "delivery_headers",
        "unsubscribe_urls",
        "gateway_token_sources",
        "gateway_open",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",")]

    @field_validator(
        "alert_thresholds", "raw_topics", "gateway_tokens", "gateway_certificates", "api_tokens", mode="before"
    )
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("gateway_secrets", mode="before")
    @classmethod
    def _parse_names(cls, value: Any) -> Any:
        value = json.loads(value) if isinstance(value, str) else value
        if not isinstance(value, dict):
            return value
        return {name: (given,) if isinstance(given, str) else given for name, given in value.items()}

    @field_validator("kafka_bootstrap")
    @classmethod
    def _tidy(cls, value: str) -> str:
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
            except OSError as error:  # that a file holds no certificate is one, too
                raise ValueError(f"can't be used: {error.strerror or error}") from error
        return value

    @field_validator("api_tokens")
    @classmethod
    def _roles(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := sorted(set(value.values()) - {"viewer", "operator"}):
            raise ValueError(f"roles are viewer and operator, not {', '.join(wrong)}")
        if any(len(token) < MIN_TOKEN for token in value):
            raise ValueError(f"a token must have at least {MIN_TOKEN} characters")
        return value

    @field_validator("gateway_certificates")
    @classmethod
    def _files(cls, value: dict[str, str]) -> dict[str, str]:
        for path in value.values():
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise ValueError(f"{path} can't be read: {error.strerror or error}") from error
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _open_to_few(self) -> Settings:
        if self.api_open and self.web_host not in _LOOPBACK:
            raise ValueError("api_open needs a loopback web_host (127.0.0.1, ::1 or localhost): set api_tokens instead")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
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
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours is in its place
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours is in its place
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Ask, in this order: the caller, the environment, `.env`, `aftersend.toml`."""
        return (
            init_settings,
            _Env(settings_cls),
            _DotEnv(settings_cls),
            _Toml(settings_cls),
            file_secret_settings,
        )

    @property
    def topics(self) -> Topics:
        """Names of the topics."""
        return Topics(self.topic_prefix, self.events_topic, self.raw_topics)

    @property
    def reached_at(self) -> str:
        """Where other workers reach this one over HTTP; "": nowhere."""
        if not self.web_port:
            return ""
        host = socket.gethostname() if self.web_host in _EVERYWHERE else self.web_host
        return self.advertised_url or f"http://{f'[{host}]' if ':' in host else host}:{self.web_port}"

    def kafka_options(self) -> dict[str, Any]:
        """Return the options of a connection as aiokafka's clients take them."""
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


def load(**overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        overrides: settings by name that go before all others; those that are None are ignored.

    Raises:
        SettingsError: naming every setting that is wrong, and how to set it.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(problems_of(error))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"aftersend.toml can't be read: {error}") from None


def problems_of(error: ValidationError) -> list[str]:
    """Return in words what is wrong, setting by setting; secrets are not shown."""
    return [_told(problem["loc"], problem["msg"], problem["input"]) for problem in error.errors()]


_SECRET: Final = ("password", "redis_url", "gateway_secrets", "gateway_tokens", "api_tokens")


def _told(place: tuple[int | str, ...], words: str, given: object) -> str:
    """Return in words what is wrong with a setting."""
    name = str(place[0]).removeprefix(PREFIX.lower()) if place else ""
    words = words.removeprefix("Value error, ")
    if not name:
        return words
    if name.lower() in _OURS:
        return (
            f"setting {_OURS[name.lower()]!r} is given under two names, {name!r} being the other one: give one of them"
        )
    if name not in Settings.model_fields:
        return f"there is no setting {name!r}{_meant(name)}"
    shown = "" if any(secret in name for secret in _SECRET) else f", got {given!r}"
    others = "".join(f", also {other}" for other, ours in OTHER_NAMES.items() if ours == name)
    return f"setting {name!r} ({PREFIX}{name.upper()}{others}): {words}{shown}"


def _meant(name: str, cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r} ({PREFIX}{close[0].upper()})?" if close else ""


def misspelt(environment: Iterable[str]) -> list[str]:
    """Return a hint for each variable that looks like a setting with a slip of the pen.

    They can't be errors: orchestrators put variables of their own there, such as AFTERSEND_PORT for a service called
    `aftersend`.
    """
    hints = []
    for variable in sorted(environment):
        name = variable.lower().removeprefix(PREFIX.lower())
        if not variable.startswith(PREFIX) or name in Settings.model_fields or name in _OURS:
            continue
        if meant := _meant(name, 0.8):
            hints.append(f"{variable} is no setting{meant}")
    return hints
