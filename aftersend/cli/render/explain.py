"""Explanation of a row as text."""

from __future__ import annotations

import json
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding

from aftersend.cli.render.output import Line, local
from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import ENGLISH, LanguageCode
from aftersend.rules.explain import explanation as explaining
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL
from aftersend.rules.views import VIEWS
from aftersend.schemas.raw import RecordPosition
from aftersend.services.explain.answer import ExplainOptions, StepResolver, notes, status_in_view
from aftersend.services.explain.read import ExplainedRow
from aftersend.services.names import terms
from aftersend.services.names.views import ViewNames
from aftersend.services.replies import reply_text

#: Bytes of a raw record that are shown if it is not text.
_SHOWN_BYTES: Final = 2_000
#: Shown for a status that is no longer known.
_UNKNOWN: Final = "?"


class _ExplainNames:
    """Names of what an explanation shows, in a language."""

    def __init__(self, language: LanguageCode) -> None:
        self._language = language

    def name(self, context: str, key: str) -> str:
        return name_of(self._language, context, key)

    def status(self, status: int | None) -> str:
        return _UNKNOWN if status is None else self.name(terms.STATUS, STATUS_NAME[status])

    def facts(self, facts: int) -> str:
        return ", ".join(self.name(terms.FACT, fact) for fact in names_of_facts(facts))

    def in_view(self, view: str, status: int | None, facts: int | None) -> str:
        key = status_in_view(view, status, facts)
        if key is None:
            return _UNKNOWN
        return (
            self.name(terms.STATUS, key)
            if not status and not facts
            else ViewNames(VIEWS[view], self._language).status(key)
        )


def explanation_details(of: ExplainedRow, *, raw: bool, language: LanguageCode = ENGLISH) -> RenderableType:
    """Return an explanation: the row's state, then its events.

    Args:
        of: the explained row.
        raw: whether to show the raw records.
        language: of the names.
    """
    named = _ExplainNames(language)
    where, state = of.where, of.state
    title = Line(f"{where.recipient or '(no recipient)'} in {where.delivery_id or '(no delivery id)'}", style="bold")
    if of.options.as_of is not None:
        title.append(f", as of {local(of.options.as_of)}")
    parts: list[RenderableType] = [title]
    if state is not None:
        parts += _state(state, of.options, named)
    parts += [Line(f"  {note}", style="yellow") for note in notes(state, of.explanation, of.options)]
    parts += [Line(f"  DISAGREES: {what}", style="bold red") for what in of.explanation.disagreements]
    for number, step in enumerate(of.explanation.steps, 1):
        parts += ["", _step(number, step, of, named)]
        if raw:
            parts.append(_raw(of.names.raw(step), of.raw))
    return Group(*parts)


def _state(state: explaining.RowState, options: ExplainOptions, named: _ExplainNames) -> list[Line]:
    status = Line("  ").append(named.status(state.status), style="bold cyan")
    final = state.status is not None and STATUS_TERMINAL[state.status]
    status.append(" (final)" if final else "")
    status.append("" if state.status_at is None else f" since {local(state.status_at)}")
    facts = "unknown" if state.facts is None else named.facts(state.facts)
    views = [Line(f"  {view}: {named.in_view(view, state.status, state.facts)}") for view in options.views]
    return [status, Line(f"  facts: {facts or 'none'}"), *views]


def _step(number: int, step: explaining.ExplanationStep, of: ExplainedRow, named: _ExplainNames) -> RenderableType:
    kind = named.name(terms.EVENT, KIND_NAME[step.kind])
    head = Line(f"{number:>3}  {local(step.received_at)}  ").append(kind, style="bold")
    if source := of.names.source(step):
        head.append(f" ({source})", style="dim")
    head.append(f"   {named.status(step.before)} → {named.status(step.after)}")
    head.append("   not folded yet" if step.waiting else "", style="yellow")
    decision = named.name(terms.DECISION, DECISION_NAMES[step.decision]) if step.decision is not None else "unknown"
    why = Line("     ").append(decision, style="cyan").append(f": {step.rule}")
    if step.reference:
        why.append(f"  [{step.reference}]", style="dim")
    lines: list[RenderableType] = [head, why, *_views(step, of.options, named)]
    lines += [Line(f"     {line}", style="dim") for line in _details(step, of.names, named)]
    return Group(*lines)


def _views(step: explaining.ExplanationStep, options: ExplainOptions, named: _ExplainNames) -> list[Line]:
    """Return a line for each pair of statuses, with the views that show it; unchanged statuses are dim."""
    lines: dict[tuple[str, str], list[str]] = {}
    for view in options.views:
        before = named.in_view(view, step.before, step.facts_before)
        after = named.in_view(view, step.after, step.facts_after)
        lines.setdefault((before, after), []).append(view)
    return [
        Line(f"     {', '.join(views)}: ").append(
            f"{before} → {after}" if before != after else f"{after}, unchanged", style="" if before != after else "dim"
        )
        for (before, after), views in lines.items()
    ]


def _details(step: explaining.ExplanationStep, names: StepResolver, named: _ExplainNames) -> list[str]:
    lines = []
    changes = []
    if step.new_facts:
        changes.append("new facts: " + named.facts(step.new_facts))
    if step.lost_facts:
        changes.append("removed facts: " + named.facts(step.lost_facts))
    if step.repeats:
        changes.append(f"{step.repeats} duplicate{'s' if step.repeats > 1 else ''}")
    if changes:
        lines.append("; ".join(changes))
    event = step.logged.event if step.logged is not None else None
    if event is not None:
        details = [f"occurred {local(event.occurred_at)}"] if event.occurred_at else []
        reply = reply_text(event.code, event.enhanced_code, event.diagnostic)
        details += filter(None, (event.reason, reply, event.detail, event.url, event.user_agent, event.ip))
        if details:
            lines.append(", ".join(details))
    position = names.raw(step)
    if position is not None:
        topic, partition, offset = position
        lines.append(f"raw record: {topic}, partition {partition}, offset {offset}")
    return lines


def _raw(position: RecordPosition | None, raw: dict[RecordPosition, bytes]) -> RenderableType:
    if position is None:
        return Line("     no raw record", style="dim")
    if position not in raw:
        return Line("     retention has removed the raw record", style="yellow")
    lines = pretty(raw[position]).split("\n")
    return Padding(Group(*map(Line, lines)), (0, 0, 0, 5), expand=False)


def pretty(value: bytes) -> str:
    """Return a raw record as text: JSON indented, other text unchanged, anything else in hexadecimal."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        more = f" … {len(value)} bytes" if len(value) > _SHOWN_BYTES else ""
        return value[:_SHOWN_BYTES].hex(" ") + more
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
