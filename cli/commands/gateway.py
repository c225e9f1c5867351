"""`aftersend gateway`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import structlog
from cyclopts import Parameter
from cyclopts.validators import Number

from engine import lifeline, logs
from engine.errors import EXIT_SETTINGS, AftersendError
from engine.settings import Settings, load, misspelt
from engine.supervisor import Child, supervise

log = structlog.get_logger(__name__)

#: Tells a child of the supervisor which one it is; nothing that an operator sets.
INDEX: Final = "_AFTERSEND_GATEWAY_INDEX"
_MAX_PORT: Final = 65_535
_LAST_SECONDS: Final = 5.0


def gateway(*, processes: Annotated[int, Parameter(validator=Number(gte=0, lte=256))] = 1) -> int:
    """Take in webhooks over HTTP, until stopped.

    `POST /webhooks/SOURCE` and `POST /webhooks/SOURCE/TOKEN` on port 8080 (AFTERSEND_GATEWAY_PORT). A body whose
    signature is right goes to the source's raw topic as it is, and the provider gets its 200 once Kafka has it.
    A source's webhooks are refused until its secret is set (AFTERSEND_GATEWAY_SECRETS, a JSON object, or files in
    AFTERSEND_GATEWAY_SECRETS_DIR); docs/gateway.md tells what each provider needs.

    While it runs, http://127.0.0.1:6166/ready tells whether webhooks are accepted, /live whether the process is well,
    and /metrics what it has done. All processes share the port for webhooks; the second one has 6167 for these, and so
    on. SIGHUP has the secrets read again; a change of the files is noticed within seconds anyhow.

    For example:

        AFTERSEND_GATEWAY_SECRETS='{"sendgrid": "MFkwEwYHKoZI…"}' aftersend gateway
        AFTERSEND_GATEWAY_HOST=0.0.0.0 AFTERSEND_GATEWAY_SECRETS_DIR=/run/secrets aftersend gateway --processes 2

    Exit codes: 0 stopped when asked to, 3 settings, 4 Kafka can't be used, 6 crashed.

    Args:
        processes: How many processes to run; 0: one for each core. A process that crashes is started again.
    """
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    for hint in misspelt(os.environ):
        log.warning(hint)
    count = processes or os.cpu_count() or 1
    index = os.environ.get(INDEX)
    if index is not None:
        lifeline.end_with_parent()
        return _run(_for_process(settings, int(index)), {"gateway": int(index)})
    if count == 1:
        return _run(settings, {})
    if settings.gateway_admin_port + count - 1 > _MAX_PORT:
        log.error("no port is left for the last process: lower AFTERSEND_GATEWAY_ADMIN_PORT", processes=count)
        return EXIT_SETTINGS
    command = [sys.executable, "-P", "-m", "cli.main", "gateway"]
    return supervise([Child(command, {**os.environ, INDEX: str(i)}) for i in range(count)], hangup=True)


def _for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: a port of its own for the operator."""
    port = settings.gateway_admin_port
    return settings.model_copy(update={"gateway_admin_port": port + index if port else 0})


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from cli.gateway import run_gateway  # noqa: PLC0415 - memory that the supervisor can do without

    try:
        code = run_gateway(settings, log_fields=log_fields)
    except AftersendError as error:
        # A line of the log like any other, for whoever collects them.
        log.error(str(error), exit_code=error.exit_code)  # noqa: TRY400 - what is to be done is in the words
        code = error.exit_code
    # A thread of a library's that does not end must not keep the process from ending.
    lifeline.Deadline(_LAST_SECONDS, code).start()
    return code
