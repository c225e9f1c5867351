"""Secrets and tokens, from the settings and from a folder that may change while the gateway runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError

#: The file of tokens in the folder.
TOKENS_FILE: Final = "tokens"
#: Tokens and passwords that can be tried out are none. Keys of signatures are checked by their source.
SHORTEST: Final = 16

_PEM_BEGIN: Final = "-----BEGIN"

#: What tells one state of the folder from another.
Stamp = tuple[tuple[str, int, int, int], ...]


class Keyring(msgspec.Struct, frozen=True):
    """All secrets at one time."""

    #: By source, or by source and tenant.
    secrets: dict[tuple[str, str], tuple[str, ...]]
    #: Tenants by token.
    tokens: dict[str, str]


def load(settings: Settings) -> Keyring:
    """Read all secrets.

    Raises:
        SettingsError: if a file can't be read, or a token is too short; never tells a secret.
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
    if any(len(token) < SHORTEST for token in tokens):
        raise SettingsError(
            f"setting 'gateway_tokens' or file {TOKENS_FILE}: a token has less than {SHORTEST} characters"
        )
    return Keyring(secrets, tokens)


def stamp(settings: Settings) -> Stamp:
    """Return what differs when a file has changed; what can't be read now is left out."""
    found = []
    for path in _files(settings.gateway_secrets_dir):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _files(folder: Path | None) -> Iterator[Path]:
    """Return the files of the folder; what begins with a dot is somebody else's, such as those of mounted volumes."""
    if folder is None:
        return
    try:
        yield from sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise SettingsError(
            f"setting 'gateway_secrets_dir' (AFTERSEND_GATEWAY_SECRETS_DIR): {folder}: {error.strerror}"
        ) from error


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, those that are empty or comments left out; a PEM block counts as one."""
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
