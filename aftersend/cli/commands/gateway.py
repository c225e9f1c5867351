"""`aftersend gateway`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.config.settings import Settings
from aftersend.processes.launch import run_processes


def gateway(*, processes: Annotated[int, Parameter(validator=Number(gte=0, lte=256))] = 1) -> int:
    """Run a gateway: receive webhooks over HTTP, until stopped.

    Receives `POST /webhooks/SOURCE` and `POST /webhooks/SOURCE/TOKEN` on port 8080 (AFTERSEND_GATEWAY_PORT). A body
    with a valid signature is written to the source's raw topic unchanged, and answered with 200 once Kafka has
    acknowledged it. Webhooks of a source are rejected until its secret is set: AFTERSEND_GATEWAY_SECRETS, a JSON
    object, or files in AFTERSEND_GATEWAY_SECRETS_DIR. docs/guide/connect-a-source.md describes what each provider
    needs.

    While it runs, http://127.0.0.1:6166/ready (AFTERSEND_GATEWAY_ADMIN_PORT) answers 200 if webhooks are accepted,
    /live if the process is healthy; /metrics is for Prometheus. All processes share the port for webhooks; the second
    serves these on port 6167, and so on. Changed secret files are read again within seconds, and on SIGHUP.

    For example:

        AFTERSEND_GATEWAY_SECRETS='{"<source>": "<secret>"}' aftersend gateway
        AFTERSEND_GATEWAY_HOST=0.0.0.0 AFTERSEND_GATEWAY_SECRETS_DIR=/run/secrets aftersend gateway --processes 2

    Exit codes: 0 stopped by a signal, 3 invalid settings, 4 Kafka is unusable, 6 crashed.

    Args:
        processes: Number of processes; 0: one for each core. A process that crashes is restarted.
    """
    return run_processes("gateway", processes, "gateway_admin_port", _for_process, _run, hangup=True)


def _for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: with its own port for health checks and metrics."""
    port = settings.gateway_admin_port
    return settings.model_copy(update={"gateway_admin_port": port + index if port else 0})


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from aftersend.processes.gateway import run_gateway

    return run_gateway(settings, log_fields=log_fields)
