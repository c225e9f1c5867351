"""`aftersend gateway`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.config.settings import Settings
from aftersend.processes.launch import run_processes


def gateway(*, processes: Annotated[int, Parameter(validator=Number(gte=0, lte=256))] = 1) -> int:
    """Take in webhooks over HTTP, until stopped.

    `POST /webhooks/SOURCE` and `POST /webhooks/SOURCE/TOKEN` on port 8080 (AFTERSEND_GATEWAY_PORT). A body whose
    signature is right goes to the source's raw topic as it is, and the provider gets its 200 once Kafka has it.
    A source's webhooks are refused until its secret is set (AFTERSEND_GATEWAY_SECRETS, a JSON object, or files in
    AFTERSEND_GATEWAY_SECRETS_DIR); docs/guide/connect-a-source.md tells what each provider needs.

    While it runs, http://127.0.0.1:6166/ready tells whether webhooks are accepted, /live whether the process is well,
    and /metrics what it has done. All processes share the port for webhooks; the second one has 6167 for these, and so
    on. SIGHUP has the secrets read again; a change of the files is noticed within seconds anyhow.

    For example:

        AFTERSEND_GATEWAY_SECRETS='{"<source>": "<secret>"}' aftersend gateway
        AFTERSEND_GATEWAY_HOST=0.0.0.0 AFTERSEND_GATEWAY_SECRETS_DIR=/run/secrets aftersend gateway --processes 2

    Exit codes: 0 stopped when asked to, 3 settings, 4 Kafka can't be used, 6 crashed.

    Args:
        processes: How many processes to run; 0: one for each core. A process that crashes is started again.
    """
    return run_processes("gateway", processes, "gateway_admin_port", _for_process, _run, hangup=True)


def _for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: a port of its own for the operator."""
    port = settings.gateway_admin_port
    return settings.model_copy(update={"gateway_admin_port": port + index if port else 0})


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from aftersend.processes.gateway import run_gateway

    return run_gateway(settings, log_fields=log_fields)
