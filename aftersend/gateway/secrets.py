"""Secrets and tokens, from the settings and from a directory that may change while the gateway runs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.sources.base import Source
from aftersend.sources.signing.credentials import MIN_LENGTH

#: Name of the file of tokens in the directory.
TOKENS_FILE: Final = "tokens"

_PEM_BEGIN: Final = "-----BEGIN"

#: Name, modification time in ns, size and inode of every file: differs after any change.
DirectoryVersion = tuple[tuple[str, int, int, int], ...]


class Secrets(msgspec.Struct, frozen=True):
    """One version of all secrets."""

    #: By source and tenant; tenant "": of the path without a tenant.
    secrets: dict[tuple[str, str], tuple[str, ...]]
    #: Tenants by token.
    tokens: dict[str, str]


def load(settings: Settings) -> Secrets:
    """Read all secrets.

    Raises:
        SettingsError: if a file can't be read, or a token is too short. The message holds no secret.
    """
    secrets: dict[tuple[str, str], tuple[str, ...]] = {}
    tokens = dict(settings.gateway_tokens)
    for name, values in settings.gateway_secrets.items():
        source, _, tenant = name.partition("/")
        secrets[source, tenant] = values
    for path in _files(settings.gateway_secrets_dir):
        lines = _lines(path)
        if path.name == TOKENS_FILE:
            tokens |= {token: tenant.strip() for token, _, tenant in (line.partition(" ") for line in lines)}
        else:
            source, _, tenant = path.name.partition(".")
            secrets[source, tenant] = (*secrets.get((source, tenant), ()), *lines)
    if any(len(token) < MIN_LENGTH for token in tokens):
        raise SettingsError(
            f"setting 'gateway_tokens' or file {TOKENS_FILE}: a token has less than {MIN_LENGTH} characters"
        )
    return Secrets(secrets, tokens)


def check_distinct(secrets: Secrets, sources: Mapping[str, Source]) -> None:
    """Check that no secret of a source belongs to two tenants, however it is written.

    Args:
        secrets: all of them.
        sources: by name.

    Raises:
        SettingsError: if one does. The message holds no secret.
    """
    owners: dict[tuple[str, Hashable], str] = {}
    for (name, tenant), values in secrets.secrets.items():
        webhook = sources[name].webhook
        for value in values:
            try:
                identity = webhook.secret_identity(value) if webhook else value.strip()
            except ValueError:
                continue  # no key at all, which the source's own check reports
            other = owners.setdefault((name, identity), tenant)
            if other != tenant:
                paths = " and ".join(f"/webhooks/{name}{f'/{one}' if one else ''}" for one in sorted((other, tenant)))
                raise SettingsError(
                    f"setting 'gateway_secrets': {paths} have the same secret, so what is signed for one would be "
                    "accepted for the other: give each tenant a secret of its own, or name the tenant in the events"
                )


def directory_version(settings: Settings) -> DirectoryVersion:
    """Return the version of the directory; files that can't be read now are left out."""
    found = []
    for path in _files(settings.gateway_secrets_dir):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _files(directory: Path | None) -> Iterator[Path]:
    """Return the files of the directory without dot files, which mounted volumes have of their own."""
    if directory is None:
        return
    try:
        yield from sorted(path for path in directory.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise SettingsError(
            f"setting 'gateway_secrets_dir' (AFTERSEND_GATEWAY_SECRETS_DIR): {directory}: {error.strerror}"
        ) from error


def _lines(path: Path) -> list[str]:
    """Return the lines of a file without empty lines and comments; a PEM block counts as one line."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"setting 'gateway_secrets_dir' (AFTERSEND_GATEWAY_SECRETS_DIR): {path} can't be read"
        ) from error
    if _PEM_BEGIN in text:
        return [(_PEM_BEGIN + block).strip() for block in text.split(_PEM_BEGIN)[1:]]
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
