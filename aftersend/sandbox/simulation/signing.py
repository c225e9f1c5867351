"""Keys of simulated providers: a folder with what they sign with and what the gateway checks with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from aftersend.errors import UsageError
from aftersend.sandbox.simulation.simulators import webhook_simulators
from aftersend.sources.simulation.simulator import Sign


class Keys(NamedTuple):
    """Files of a pair for each provider."""

    #: Private keys, by provider.
    private: dict[str, Path]
    #: A folder for AFTERSEND_GATEWAY_SECRETS_DIR.
    secrets: Path
    #: By address: for AFTERSEND_GATEWAY_CERTIFICATES.
    certificates: dict[str, str]


def signer(provider: str, key: Path) -> Sign:
    """Return what signs as a provider does.

    Args:
        provider: a simulated source that sends webhooks.
        key: a file with a private key, or the folder that `make_keys` made.

    Raises:
        UsageError: if there is no such key.
    """
    webhook = webhook_simulators()[provider]
    path = key / webhook.key_file if key.is_dir() else key
    try:
        return webhook.signer(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"--key {path} can't be read: {error.strerror or error}; `aftersend simulate --make-key DIR` makes one"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} holds {error}") from error


def make_keys(folder: Path) -> Keys:
    """Make a pair of keys for each provider, and put what the gateway needs beside.

    Args:
        folder: where to; is made if it is not there. Keys that are there already are kept.

    Raises:
        UsageError: if the folder can't be written to.
    """
    secrets = folder / "secrets"
    private: dict[str, Path] = {}
    certificates: dict[str, str] = {}
    try:
        secrets.mkdir(parents=True, exist_ok=True)
        for name, webhook in webhook_simulators().items():
            private[name] = path = folder / webhook.key_file
            certificate = folder / webhook.certificate_file
            if webhook.certificate_url:
                certificates[webhook.certificate_url] = str(certificate.absolute())
            if path.exists():
                continue
            made = webhook.make_key()
            if made.certificate:
                certificate.write_bytes(made.certificate)
            (secrets / name).write_text(made.secret + "\n")
            # Last, since the key's being there says that all is.
            path.touch(mode=0o600)
            path.write_bytes(made.private)
    except OSError as error:
        raise UsageError(f"--make-key {folder}: {error.strerror or error}") from error
    return Keys(private, secrets, certificates)
