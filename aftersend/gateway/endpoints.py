"""Which paths lead where, and what a request has to show there.

    /webhooks/<source>           a provider that signs, or credentials in the Authorization header
    /webhooks/<source>/<token>   the same for the tenant that the token stands for; a source without signatures needs
                                 nothing else
    /webhooks/<source>/<tenant>  a tenant with secrets of its own

A source without secrets is closed, unless it is opened on purpose: an address that takes anything from anybody must
not come about by forgetting a setting. Tokens are looked up by their hash, so that the time this takes says nothing
of how much of a guess was right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.gateway.secrets import Keyring
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.base import Source
from aftersend.sources.signing import credentials
from aftersend.sources.webhook import Accepted, Verifier, Webhook, WebhookOptions, WebhookRequest

PREFIX: Final = "/webhooks/"
#: Sources that have no webhook of their own, such as an MTA's log hook: how long they wait is theirs to set.
_PLAIN_ANSWER_WITHIN: Final = 30.0
#: Of the time that a provider waits, what is left to the way there and back.
_SHARE: Final = 0.8

_ACCEPTED: Final = Accepted()

#: GETs an https address and returns the body; raises OSError.
Fetch = Callable[[str], Awaitable[bytes]]


class Door(msgspec.Struct, frozen=True):
    """Where a path leads."""

    source: str
    #: Whom the events are of unless they say so themselves; "": unknown.
    tenant: str
    content_types: frozenset[str]
    max_bytes: int
    #: Seconds from the request's beginning until it has to be answered.
    answer_within: float
    #: None: closed.
    verify: Verifier | None
    #: It is the Authorization header that is checked.
    by_credentials: bool = False
    #: Answers after which the provider does not send the request again.
    final_statuses: frozenset[int] = frozenset()
    #: Of the raw records.
    headers: tuple[tuple[str, bytes], ...] = ()


class Doors:
    """All doors, for one state of the secrets.

    Args:
        settings: checked.
        keyring: the secrets.
        sources: by name.
        fetch: what `WebhookOptions.fetch` is.

    Raises:
        SettingsError: if a secret is for a source that does not exist, or can't be a key.
    """

    def __init__(self, settings: Settings, keyring: Keyring, sources: Mapping[str, Source], fetch: Fetch) -> None:
        self._settings = settings
        self._keyring = keyring
        self._fetch = fetch
        if unknown := sorted({source for source, _ in keyring.secrets} - sources.keys()):
            raise SettingsError(f"setting 'gateway_secrets': there is no source {', '.join(unknown)}")
        for setting in ("gateway_open", "gateway_token_sources"):
            if unknown := sorted(set(getattr(settings, setting)) - sources.keys()):
                raise SettingsError(
                    f"setting {setting!r} (AFTERSEND_{setting.upper()}): there is no source {', '.join(unknown)}"
                )
        #: By source, those without a further part of the path.
        self.plain = {name: self._make(source, "") for name, source in sources.items()}
        self._further = {name: dict(self._for_tenants(source)) for name, source in sources.items()}

    def find(self, path: str) -> Door | None:
        """Return the door that a path leads to, None if there is none."""
        source, slash, rest = path.removeprefix(PREFIX).partition("/")
        if not path.startswith(PREFIX):
            return None
        if not slash:
            return self.plain.get(source)
        further = self._further.get(source)
        return further.get(_digest(rest)) if further else None

    def _for_tenants(self, source: Source) -> Iterable[tuple[bytes, Door]]:
        """Return the doors behind a further part of the path, by the hash of that part."""
        for name, tenant in self._keyring.secrets:
            if name == source.name and tenant:
                yield _digest(tenant), self._make(source, tenant)
        # Tokens are handed out to speak of deliveries, not to give operators' orders.
        enough = source.name in self._settings.gateway_token_sources
        for token, tenant in self._keyring.tokens.items():
            yield _digest(token), self._make(source, tenant, by_token=enough)
        if _unsigned(source.webhook):
            for secret in self._secrets(source, ""):
                yield _digest(secret), self._make(source, "", by_token=True)

    def _secrets(self, source: Source, tenant: str) -> tuple[str, ...]:
        secrets = self._keyring.secrets
        return secrets.get((source.name, tenant)) or secrets.get((source.name, "")) or ()

    def _make(self, source: Source, tenant: str, *, by_token: bool = False) -> Door:
        settings, webhook = self._settings, source.webhook
        door = Door(
            source.name,
            tenant,
            webhook.content_types if webhook else frozenset(),
            min(webhook.max_bytes, settings.gateway_max_body_bytes) if webhook else settings.gateway_max_body_bytes,
            _SHARE * (webhook.answer_within if webhook else _PLAIN_ANSWER_WITHIN),
            None,
            final_statuses=webhook.final_statuses if webhook else frozenset(),
            headers=((TENANT_HEADER, tenant.encode()),) if tenant else (),
        )
        secrets = self._secrets(source, tenant)
        if source.name in settings.gateway_open or (by_token and _unsigned(webhook)):
            return msgspec.structs.replace(door, verify=_unchecked)
        if not secrets:
            return door
        return msgspec.structs.replace(
            door, verify=self._verifier(source.name, webhook, secrets), by_credentials=_unsigned(webhook)
        )

    def _verifier(self, name: str, webhook: Webhook | None, secrets: tuple[str, ...]) -> Verifier:
        tolerance = self._settings.gateway_tolerance
        if tolerance is None:
            tolerance = webhook.tolerance if webhook else 0.0
        options = WebhookOptions(secrets=secrets, tolerance=tolerance, fetch=self._fetch)
        try:
            return (webhook.verifier if webhook else credentials.verifier)(options)
        except ValueError as error:
            wanted = f"; wanted: {webhook.secrets_help}" if webhook else ""
            raise SettingsError(f"setting 'gateway_secrets', source {name}: {error}{wanted}") from error


def _unsigned(webhook: Webhook | None) -> bool:
    """Whether requests are signed by nobody: credentials or a token are all that they show."""
    return webhook is None or webhook.by_credentials


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


async def _unchecked(_request: WebhookRequest) -> Accepted:
    return _ACCEPTED
