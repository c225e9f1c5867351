"""`aftersend log`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.progress import bar
from aftersend.services.log_export.export import LogSelection, export_log
from aftersend.services.log_export.kinds import KindName, ViewName
from aftersend.services.log_export.lines import WriteLine, csv_writer, json_writer


def log(
    delivery: str,
    /,
    *,
    view: ViewName | None = None,
    kind: KindName | None = None,
    status: Annotated[list[str] | None, Parameter(name=["--status", "--response"], negative="")] = None,
    reason: Annotated[list[str] | None, Parameter(negative="")] = None,
    tests: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Export a log of a delivery, recipient by recipient, in the format of another product.

    CSV with a header, or with --json one object a line; times are ISO 8601 in UTC. Recipients are in no particular
    order. The compacted status topic is read, one partition after the other, so memory holds the rows of one partition.
    Progress is shown on standard error.

    Logs of each view:

        without-efs, efs, v8, enhanced-mta   sending, exclusions, tracking; causes, errors: by reason; totals
        creatio                              audience; errors: the error chart; totals
        escala                               recipients; totals

    For example:

        aftersend log spring-sale > sending.csv
        aftersend log spring-sale --status failed --reason "mailbox full" --reason 1
        aftersend log spring-sale --kind exclusions --json | jq .reason
        aftersend log spring-sale --view creatio --response "hard bounce" --response rejected > audience.csv
        aftersend log spring-sale --view creatio --kind errors

    Exit codes: 0 done, 1 no recipients, 2 the view has no such log, 3 invalid settings, 4 Kafka does not answer.

    Args:
        delivery: Delivery id.
        view: Product; by default the policy in the delivery's declaration, else the first of efs, creatio and escala
            that has the log.
        kind: Log; by default the view's first.
        status: Only recipients with this status or response, in any case; may be given several times.
        reason: Only recipients with this failure reason, by its name or value; may be given several times.
        tests: Include test messages.
        as_json: JSON lines instead of CSV.
    """
    settings = command_settings()

    def open_writer(columns: Sequence[str]) -> WriteLine:
        return json_writer(sys.stdout) if as_json else csv_writer(columns, sys.stdout)

    selection = LogSelection(status or (), reason or (), tests)
    show = bar(quiet=sys.stdout.isatty())
    wait_for(export_log(settings, delivery, view, kind, selection, open_writer, show))
