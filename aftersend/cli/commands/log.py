"""`aftersend log`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from aftersend.cli.context import Json, Language, command_settings, name_language, wait_for
from aftersend.cli.render.progress import bar
from aftersend.services.log_export.export import LogSelection, export_log
from aftersend.services.log_export.kinds import KindName, ViewName
from aftersend.services.log_export.lines import WriteLine, csv_writer, json_writer

Delivery = Annotated[str, Parameter(help="Delivery id.")]
View = Annotated[
    ViewName | None,
    Parameter(
        help="Product; by default the policy in the delivery's declaration, else the first of efs, creatio and escala "
        "that has the log."
    ),
]
Kind = Annotated[KindName | None, Parameter(help="Log; by default the view's first.")]
Status = Annotated[
    list[str] | None,
    Parameter(
        name=["--status", "--response"],
        negative="",
        help="Only recipients with this status or response, in any language and any case; may be given several times.",
    ),
]
Reason = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help="Only recipients with this failure reason, by its value, or by its name in any language; may be given "
        "several times.",
    ),
]
Tests = Annotated[bool, Parameter(negative="", show_default=False, help="Include test messages.")]
LogLanguage = Annotated[
    Language,
    Parameter(
        help="Language of the columns *_label, after all others: names of statuses and reasons. By default that of "
        "LC_ALL, LC_MESSAGES or LANG; none for English."
    ),
]
AsJson = Annotated[Json, Parameter(help="JSON lines instead of CSV.")]


def log(
    delivery: Delivery,
    /,
    *,
    view: View = None,
    kind: Kind = None,
    status: Status = None,
    reason: Reason = None,
    tests: Tests = False,
    language: LogLanguage = None,
    as_json: AsJson = False,
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
        aftersend log spring-sale --view creatio --kind errors --language ru

    Exit codes: 0 done, 1 no recipients, 2 the view has no such log, 3 invalid settings, 4 Kafka does not answer.
    """
    settings = command_settings()
    selection = LogSelection(status or (), reason or (), tests, name_language(language).of_labels)
    show = bar(quiet=sys.stdout.isatty())
    wait_for(export_log(settings, delivery, view, kind, selection, _open_json if as_json else _open_csv, show))


def _open_json(_columns: Sequence[str]) -> WriteLine:
    return json_writer(sys.stdout)


def _open_csv(columns: Sequence[str]) -> WriteLine:
    return csv_writer(columns, sys.stdout)
