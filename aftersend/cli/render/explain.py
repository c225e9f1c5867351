"""A row explained, as people read it in a terminal."""

from __future__ import annotations

import json
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from aftersend.cli.render.output import local
from aftersend.rules.explain import explanation as explaining
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL
from aftersend.schemas.raw import RecordPosition
from aftersend.services.explain import ExplainedRow
from aftersend.services.explanations import ExplainOptions, StepResolver, in_view, notes

#: Of a raw record that is no text, so many bytes are shown.
_SHOWN_BYTES: Final = 2_000


def picture(of: ExplainedRow, *, raw: bool) -> RenderableType:
    """Return a row explained, as people read it."""
    where, state = of.where, of.state
    title = Text(f"{where.recipient or '(no recipient)'} in {where.delivery_id or '(no delivery id)'}", style="bold")
    if of.options.as_of is not None:
        title.append(f", as of {local(of.options.as_of)}")
    parts: list[RenderableType] = [title]
    if state is not None:
        status = Text("  ").append(_status(state.status), style="bold cyan")
        final = state.status is not None and STATUS_TERMINAL[state.status]
        status.append(" (final)" if final else "").append(f" since {local(state.updated_at)}")
        facts = "not known" if state.facts is None else ", ".join(names_of_facts(state.facts)).replace("_", " ")
        parts += [status, Text(f"  facts: {facts or 'none'}")]
        parts += [Text(f"  {view}: {in_view(view, state.status, state.facts) or '?'}") for view in of.options.views]
    parts += [Text(f"  {note}", style="yellow") for note in notes(state, of.explanation, of.options)]
    parts += [Text(f"  DISAGREES: {what}", style="bold red") for what in of.explanation.disagreements]
    for number, step in enumerate(of.explanation.steps, 1):
        parts += ["", _step(number, step, of.names, of.options)]
        if raw:
            parts.append(_raw(of.names.raw(step), of.raw))
    return Group(*parts)


def _step(
    number: int, step: explaining.ExplanationStep, names: StepResolver, options: ExplainOptions
) -> RenderableType:
    kind = KIND_NAME[step.kind].replace("_", " ")
    head = Text(f"{number:>3}  {local(step.received_at)}  ").append(kind, style="bold")
    if source := names.source(step):
        head.append(f" ({source})", style="dim")
    head.append(f"   {_status(step.before)} → {_status(step.after)}")
    head.append("   not in the row yet" if step.waiting else "", style="yellow")
    decision = DECISION_NAMES[step.decision] if step.decision is not None else "not known"
    why = Text("     ").append(decision.replace("_", " "), style="cyan").append(f": {step.rule}")
    if step.reference:
        why.append(f"  [{step.reference}]", style="dim")
    lines: list[RenderableType] = [head, why, *_views(step, options)]
    lines += [Text(f"     {line}", style="dim") for line in _details(step, names)]
    return Group(*lines)


def _views(step: explaining.ExplanationStep, options: ExplainOptions) -> list[Text]:
    """Return a line for each view, the changes marked; those that show the same share one."""
    lines: dict[tuple[str, str], list[str]] = {}
    for view in options.views:
        before = in_view(view, step.before, step.facts_before) or "?"
        after = in_view(view, step.after, step.facts_after) or "?"
        lines.setdefault((before, after), []).append(view)
    return [
        Text(f"     {', '.join(views)}: ").append(
            f"{before} → {after}" if before != after else f"{after}, as before", style="" if before != after else "dim"
        )
        for (before, after), views in lines.items()
    ]


def _status(status: int | None) -> str:
    return "?" if status is None else STATUS_NAME[status].replace("_", " ")


def _details(step: explaining.ExplanationStep, names: StepResolver) -> list[str]:
    lines = []
    facts = []
    if step.new_facts:
        facts.append("new facts: " + ", ".join(names_of_facts(step.new_facts)))
    if step.lost_facts:
        facts.append("no longer: " + ", ".join(names_of_facts(step.lost_facts)))
    if step.repeats:
        facts.append(f"came {step.repeats} more times" if step.repeats > 1 else "came once more")
    if facts:
        lines.append("; ".join(facts).replace("_", " "))
    event = step.logged.event if step.logged is not None else None
    if event is not None:
        said = [f"occurred {local(event.occurred_at)}"] if event.occurred_at else []
        said += [str(word) for word in (event.reason, event.code or "", event.enhanced_code, event.diagnostic) if word]
        said += [word for word in (event.detail, event.url, event.user_agent, event.ip) if word]
        if said:
            lines.append(", ".join(said))
    place = names.raw(step)
    if place is not None:
        topic, partition, offset = place
        lines.append(f"raw record: {topic}, partition {partition}, offset {offset}")
    return lines


def _raw(place: RecordPosition | None, raw: dict[RecordPosition, bytes]) -> RenderableType:
    if place is None:
        return Text("     no raw record", style="dim")
    if place not in raw:
        return Text("     its raw record was removed by retention", style="yellow")
    return Padding(Text(pretty(raw[place])), (0, 0, 0, 5), expand=False)


def pretty(value: bytes) -> str:
    """Return a raw record as people read it: JSON indented, other text as it is, bytes that are no text in hex."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        more = f" … {len(value)} bytes" if len(value) > _SHOWN_BYTES else ""
        return value[:_SHOWN_BYTES].hex(" ") + more
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
