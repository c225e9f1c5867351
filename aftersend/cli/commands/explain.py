"""`aftersend explain`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from aftersend.cli.context import Json, address_key, command_settings, wait_for
from aftersend.cli.render.explain import picture
from aftersend.cli.render.output import console
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError, UsageError
from aftersend.schemas.partitioning import partition_of
from aftersend.services.cluster import partitions_of
from aftersend.services.explain import ExplainedRow, read_explanation, where_of
from aftersend.services.explanations import ALL_VIEWS, ExplainOptions, time_of, views_of


def explain(
    delivery: str,
    recipient: str,
    /,
    *,
    raw: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_of: Annotated[str, Parameter(show_default=False)] = "",
    view: Annotated[list[str] | None, Parameter(negative="", show_default=False)] = None,
    views: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> int:
    """Show every event of a recipient, what it did, and why.

    In order of arrival: when it arrived and when it happened, its decision and the rule behind it, the status before
    and after, the facts that it left, how often it came again, and where its raw record lies. The end of a wait without
    an outcome is shown as `expired`.

    The events are read from Kafka and folded again by the same rules; what that gives is compared with the row. What
    retention has removed is told, as far as the row's own memory of its last 33 events reaches. Exit code 1 if nothing
    is known of the recipient in this delivery, or if the row is not what its events make of it.

    For example:

        aftersend explain spring-sale jane@example.com
        aftersend explain spring-sale jane@example.com --raw
        aftersend explain spring-sale jane@example.com --view efs --view creatio
        aftersend explain spring-sale jane@example.com --as-of 2026-01-31T12:00:00Z --views
        aftersend explain spring-sale jane@example.com --json | jq '.steps[] | .decision + ": " + .rule'

    Args:
        delivery: The delivery's id.
        recipient: The address, in any spelling.
        raw: Print the raw record of each event too, JSON indented.
        as_of: As it was then, by what had arrived: ISO 8601 with its zone, or seconds since 1970.
        view: What this view shows before and after each event; may be given several times. Views: without-efs, efs, v8,
            enhanced-mta, creatio, escala.
        views: The same for all views.
        as_json: One JSON object; with --raw, the raw records are in it.
    """
    settings = command_settings()
    key = address_key(recipient)
    options = _explain_options(as_of, [*(view or ()), *([ALL_VIEWS] if views else ())], raw=raw)
    found = wait_for(_find(settings, delivery, key, options))
    if not found.explanation.steps and found.state is None:
        when = f" as of {as_of}" if as_of else ""
        message = f"nothing is known of {key} in delivery {delivery!r}{when}"
        if found.known.archived:
            message += ": its rows were forgotten after their retention"
        raise AftersendError(message)
    if as_json:
        print(msgspec.json.encode(found.as_json()).decode(), flush=True)
    else:
        console().print(picture(found, raw=raw))
    return EXIT_FAILED if found.state is None or found.explanation.disagreements else EXIT_OK


def _explain_options(as_of: str, views: list[str], *, raw: bool) -> ExplainOptions:
    try:
        return ExplainOptions(time_of(as_of) if as_of else None, views_of(views), raw)
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _find(settings: Settings, delivery: str, key: str, options: ExplainOptions) -> ExplainedRow:
    topics = settings.topics
    partitions = await partitions_of(settings, topics.status, topics.kpis, topics.events)
    where = where_of(settings, partition_of(key, partitions), delivery, key)
    return await read_explanation(where, options=options)
