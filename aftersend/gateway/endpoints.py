"""The paths of the gateway, and how a request authenticates there.

    /webhooks/<source>           the provider signs, or sends credentials in the Authorization header
    /webhooks/<source>/<tenant>  the same for a tenant with secrets of its own
    /webhooks/<source>/<token>   the same for the tenant of the token; for a source without signatures the token is
                                 enough

A path accepts the secrets of its own tenant only, never those of `/webhooks/<source>`, and no secret belongs to two
tenants: signatures do not cover the path, so what is signed for one tenant could else be sent to another one's path.

A source without secrets is closed unless `gateway_open` names it: a forgotten setting must not make an endpoint that
accepts anything from anybody. Tokens are looked up by their hash, so that the time of the lookup does not depend on how
much of a guess is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.gateway.secrets import Secrets, check_distinct
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.base import Source
from aftersend.sources.signing import credentials
from aftersend.sources.webhook import Accepted, Verifier, Webhook, WebhookOptions, WebhookRequest

PREFIX: Final = "/webhooks/"
#: Response window of a source without a webhook of its own, seconds: clients such as an MTA's log hook choose their
#: time-out themselves, and 30 s is a usual default.
_DEFAULT_ANSWER_WITHIN: Final = 30.0
#: Share of a provider's response window that the gateway uses; the rest is for the network.
_WINDOW_SHARE: Final = 0.8

_ACCEPTED: Final = Accepted()

#: GETs an https address and returns the body; raises OSError.
Fetch = Callable[[str], Awaitable[bytes]]


class Endpoint(msgspec.Struct, frozen=True):
    """What the gateway accepts at one path."""

    source: str
    #: Tenant of events that name none themselves; "": unknown.
    tenant: str
    content_types: frozenset[str]
    max_bytes: int
    #: Seconds from the beginning of a request until its answer is due.
    answer_within: float
    #: None: the endpoint is closed.
    verify: Verifier | None
    #: Requests authenticate by the Authorization header.
    by_credentials: bool = False
    #: Statuses after which the provider does not retry.
    final_statuses: frozenset[int] = frozenset()
    #: Headers of the raw records.
    headers: tuple[tuple[str, bytes], ...] = ()


class Endpoints:
    """All endpoints of a gateway, made from one version of the secrets.

    Args:
        settings: checked.
        secrets: secrets and tokens.
        sources: by name.
        fetch: passed to the sources as `WebhookOptions.fetch`.

    Raises:
        SettingsError: if a secret is for a source that does not exist, can't be a key, or belongs to two tenants.
    """

    def __init__(self, settings: Settings, secrets: Secrets, sources: Mapping[str, Source], fetch: Fetch) -> None:
        self._settings = settings
        self._secrets = secrets
        self._fetch = fetch
        if unknown := sorted({source for source, _ in secrets.secrets} - sources.keys()):
            raise SettingsError(f"setting 'gateway_secrets': there is no source {', '.join(unknown)}")
        check_distinct(secrets, sources)
        for setting in ("gateway_open", "gateway_token_sources"):
            if unknown := sorted(set(getattr(settings, setting)) - sources.keys()):
                raise SettingsError(
                    f"setting {setting!r} (AFTERSEND_{setting.upper()}): there is no source {', '.join(unknown)}"
                )
        #: The endpoint `/webhooks/<source>` of each source.
        self.by_source = {name: self._make(source, "") for name, source in sources.items()}
        #: By source and the hash of a path's last part: endpoints of tokens and tenants.
        self._by_digest = {name: dict(self._for_tenants(source)) for name, source in sources.items()}

    def find(self, path: str) -> Endpoint | None:
        """Return the endpoint of a path, None if there is none."""
        source, slash, rest = path.removeprefix(PREFIX).partition("/")
        if not path.startswith(PREFIX):
            return None
        if not slash:
            return self.by_source.get(source)
        by_digest = self._by_digest.get(source)
        return by_digest.get(_digest(rest)) if by_digest else None

    def closed_tenants(self) -> list[tuple[str, str]]:
        """Return sources and tenants with a token that opens nothing, though the source is in use.

        Such a tenant has no secret of its own for the source.
        """
        found = set()
        for by_digest in self._by_digest.values():
            for one in by_digest.values():
                in_use = self.by_source[one.source].verify is not None
                if one.tenant and one.verify is None and in_use:
                    found.add((one.source, one.tenant))
        return sorted(found)

    def _for_tenants(self, source: Source) -> Iterable[tuple[bytes, Endpoint]]:
        """Return the endpoints of a source's tokens and tenants, by the hash of the path's last part."""
        for name, tenant in self._secrets.secrets:
            if name == source.name and tenant:
                yield _digest(tenant), self._make(source, tenant)
        # A token authorises events of some sources only, such as tracking: never an operator's commands.
        suffices = source.name in self._settings.gateway_token_sources
        for token, tenant in self._secrets.tokens.items():
            yield _digest(token), self._make(source, tenant, by_token=suffices)
        if _unsigned(source.webhook):
            for secret in self._secrets_of(source, ""):
                yield _digest(secret), self._make(source, "", by_token=True)

    def _secrets_of(self, source: Source, tenant: str) -> tuple[str, ...]:
        return self._secrets.secrets.get((source.name, tenant), ())

    def _make(self, source: Source, tenant: str, *, by_token: bool = False) -> Endpoint:
        settings, webhook = self._settings, source.webhook
        endpoint = Endpoint(
            source.name,
            tenant,
            webhook.content_types if webhook else frozenset(),
            min(webhook.max_bytes, settings.gateway_max_body_bytes) if webhook else settings.gateway_max_body_bytes,
            _WINDOW_SHARE * (webhook.answer_within if webhook else _DEFAULT_ANSWER_WITHIN),
            None,
            final_statuses=webhook.final_statuses if webhook else frozenset(),
            headers=((TENANT_HEADER, tenant.encode()),) if tenant else (),
        )
        secrets = self._secrets_of(source, tenant)
        if source.name in settings.gateway_open or (by_token and _unsigned(webhook)):
            return msgspec.structs.replace(endpoint, verify=_accept_all)
        if not secrets:
            return endpoint
        return msgspec.structs.replace(
            endpoint, verify=self._verifier(source.name, webhook, secrets), by_credentials=_unsigned(webhook)
        )

    def _verifier(self, name: str, webhook: Webhook | None, secrets: tuple[str, ...]) -> Verifier:
        tolerance = self._settings.gateway_tolerance
        if tolerance is None:
            tolerance = webhook.tolerance if webhook else 0.0
        options = WebhookOptions(
            secrets=secrets,
            tolerance=tolerance,
            fetch=self._fetch,
            own_certificates=frozenset(self._settings.gateway_certificates),
        )
        try:
            return (webhook.verifier if webhook else credentials.verifier)(options)
        except ValueError as error:
            wanted = f"; wanted: {webhook.secrets_help}" if webhook else ""
            raise SettingsError(f"setting 'gateway_secrets', source {name}: {error}{wanted}") from error


def _unsigned(webhook: Webhook | None) -> bool:
    """Return whether requests carry no signature: they authenticate by credentials or a token."""
    return webhook is None or webhook.by_credentials


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


async def _accept_all(_request: WebhookRequest) -> Accepted:
    return _ACCEPTED
