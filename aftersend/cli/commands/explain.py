"""`aftersend explain`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from aftersend.cli.context import Json, Language, address_key, command_settings, name_language, wait_for
from aftersend.cli.render.explain import explanation_details
from aftersend.cli.render.output import console, print_json
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError, UsageError
from aftersend.services import masking
from aftersend.services.explain.answer import ALL_VIEWS, ExplainOptions, time_of, views_of
from aftersend.services.explain.read import ExplainedRow, explain_address
from aftersend.services.names.labels import with_labels

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


Delivery = Annotated[str, Parameter(help="Delivery id.")]
Recipient = Annotated[str, Parameter(help="Address in any spelling.")]
Raw = Annotated[Flag, Parameter(help="Print the raw record of each event, JSON indented.")]
AsOf = Annotated[
    str,
    Parameter(
        show_default=False,
        help="Show the state at this time, by the events that had arrived: ISO 8601 with a time zone, or seconds "
        "since 1970.",
    ),
]
View = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        show_default=False,
        help="Show the status in this view before and after each event; may be given several times. Views: "
        "without-efs, efs, v8, enhanced-mta, creatio, escala.",
    ),
]
Views = Annotated[Flag, Parameter(help="The same for all views.")]
AsJson = Annotated[Json, Parameter(help="One JSON object; with --raw, it includes the raw records.")]
Masked = Annotated[
    Flag, Parameter(help="One JSON object as a viewer of the API sees it: no text but ours. Not with --raw.")
]


def explain(
    delivery: Delivery,
    recipient: Recipient,
    /,
    *,
    raw: Raw = False,
    as_of: AsOf = "",
    view: View = None,
    views: Views = False,
    language: Language = None,
    as_json: AsJson = False,
    masked: Masked = False,
) -> int:
    """Show every event of a recipient, with its decision and the rule behind it.

    In order of arrival: times of arrival and occurrence, the decision and its rule, the status before and after, new
    facts, the number of duplicates, and the position of the raw record. The end of a wait without an outcome is shown
    as `expired`.

    The events are read from Kafka and folded again by the same rules, and the result is compared with the stored row.
    Events that retention has removed are shown as far as the row remembers them: its last 33.

    For example:

        aftersend explain spring-sale jane@example.com
        aftersend explain spring-sale jane@example.com --raw
        aftersend explain spring-sale jane@example.com --view efs --view creatio
        aftersend explain spring-sale jane@example.com --as-of 2026-01-31T12:00:00Z --views
        aftersend explain spring-sale jane@example.com --json | jq '.steps[] | .decision + ": " + .rule'

    Exit codes: 0 done, 1 no such recipient, or its row differs from its events, 3 invalid settings, 4 Kafka unusable.
    """
    if masked and raw:
        raise UsageError("--masked hides everything that a raw record has: leave --raw out")
    options = _options(as_of, [*(view or ()), *([ALL_VIEWS] if views else ())], raw=raw)
    found = wait_for(explain_address(command_settings(), delivery, address_key(recipient), options))
    if not found.explanation.steps and found.state is None:
        raise _not_found(found, as_of)
    names = name_language(language)
    if masked or as_json:
        answer = msgspec.to_builtins(found.as_json())
        print_json(with_labels(masking.masked(answer) if masked else answer, names.of_labels))
    else:
        console().print(explanation_details(found, raw=raw, language=names.language))
    return EXIT_FAILED if found.state is None or found.explanation.disagreements else EXIT_OK


def _options(as_of: str, views: list[str], *, raw: bool) -> ExplainOptions:
    try:
        return ExplainOptions(time_of(as_of) if as_of else None, views_of(views), raw)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _not_found(found: ExplainedRow, as_of: str) -> AftersendError:
    at = f" as of {as_of}" if as_of else ""
    reason = ": its rows were deleted after their retention" if found.known.archived else ""
    where = found.where
    return AftersendError(f"delivery {where.delivery_id!r} has no recipient {where.recipient}{at}{reason}")
