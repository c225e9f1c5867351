"""Rows, event history and contact record of one address, as text and tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding

from aftersend.cli.render.output import Line, LineTable, local, table
from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import ENGLISH, LanguageCode
from aftersend.rules.contact.quarantine import VALID, address_status
from aftersend.rules.contact.suppression import check
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import HistoryEntry, unpack_history
from aftersend.rules.recipient.kinds import KIND_NAME, KINDS
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.views.escala.card import CardLine
from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState
from aftersend.services.names import terms
from aftersend.services.recipients import StoredAddress
from aftersend.services.replies import reply_text
from aftersend.tables.codec.public import Codec

#: Of (context, key): the name in the language of the output.
_Named = Callable[[str, str], str]
#: Statuses of recipients that were reached.
_REACHED: Final = frozenset(STATUS_NAME[kind.status] for kind in KINDS if kind.status and kind.facts & Fact.DELIVERED)


def address_details(
    recipient: str,
    found: StoredAddress,
    card: list[CardLine],
    codec: Codec,
    now: float,
    language: LanguageCode = ENGLISH,
) -> RenderableType:
    """Return everything that is stored about an address.

    Args:
        recipient: normalised address.
        found: what is stored.
        card: lines of the contact's card.
        codec: of the installation.
        now: time for which the contact's status is computed, seconds since 1970.
        language: of the names.
    """
    named = partial(name_of, language)
    parts: list[RenderableType] = [Line(recipient, style="bold"), ""]
    if not found.rows:
        parts.append("no delivery")
    for state, row in sorted(found.rows.values(), key=lambda row: -row[0].updated_at):
        history = _history(unpack_history(row.history), codec, named)
        parts += [_row(state, status_at(row), named), _indented(history), ""]
    parts.append(_contact(found.contact, card, now, named))
    if card:
        parts.append(_indented(_card(card, named)))
    return Group(*parts)


def _indented(content: LineTable) -> RenderableType:
    return Padding(content, (0, 0, 0, 2), expand=False)


def _row(state: RecipientState, since: float | None, named: _Named) -> RenderableType:
    status = Line(state.delivery_id or "(no delivery id)", style="bold")
    status.append(": ").append(named(terms.STATUS, state.status), style="bold cyan")
    status.append(" (final)" if state.final else "").append("" if since is None else f" since {local(since)}")
    status.append(f", was {named(terms.STATUS, state.previous)}" if state.previous else "")
    status.append(f", last event {local(state.updated_at)}")
    lines: list[RenderableType] = [status]
    facts = ", ".join(named(terms.FACT, fact) for fact in msgspec.json.decode(state.facts))
    lines.append(Line(f"  facts    {facts}"))
    times = {
        named(terms.STATUS, "sent"): state.sent_at,
        named(terms.STATUS, "delivered"): state.delivered_at,
        f"{named(terms.STATUS, 'opened')} ({state.opens})": state.opened_at,
        f"{named(terms.STATUS, 'clicked')} ({state.clicks})": state.clicked_at,
        named(terms.STATUS, "unsubscribed"): state.unsubscribed_at,
        named(terms.STATUS, "complained"): state.complained_at,
    }
    known = ", ".join(f"{name} {local(at)}" for name, at in times.items() if at)
    if known:
        lines.append(Line(f"  times    {known}"))
    if state.failure is not None:
        failure = state.failure
        words = reply_text(failure.code, failure.enhanced_code, failure.diagnostic)
        what = "earlier failure" if state.status in _REACHED else "failure "
        lines.append(Line(f"  {what} {failure.reason} at {local(failure.at)}: {words}"))
    return Group(*lines)


def _history(history: list[HistoryEntry], codec: Codec, named: _Named) -> LineTable:
    result = table("", "arrived", "event", "decision", "duplicates", "source", "raw record", right=("duplicates",))
    for entry in history:
        result.add_row(
            local(entry.received_at),
            named(terms.EVENT, KIND_NAME[entry.kind]),
            named(terms.DECISION, DECISION_NAMES[entry.decision]),
            str(entry.repeats) if entry.repeats else "",
            codec.source_names.get(entry.source, ""),
            f"partition {entry.partition}, offset {entry.offset}" if any(entry.digest) else "",
        )
    return result


def _contact(contact: Contact | None, card: list[CardLine], now: float, named: _Named) -> Line:
    if contact is None:
        return Line("contact: nothing is held against the address")
    title = Line("contact: ", style="bold")
    left_out = next((line for line in card if line.notice == "not sent"), None)
    if contact.do_not_email:
        title.append(named(terms.CONTACT, "do not email"), style="bold red")
        title.append(_why(named, contact.cause, contact.cause_at, contact.cause_delivery_id))
    elif objections := check(contact).objections:
        title.append(named(terms.CONTACT, "do not email"), style="bold red").append(_why(named, *objections[0]))
    elif left_out is not None:
        # Whoever left it out may know of more than the events that came here.
        title.append("nothing is held against the address here, but its sender left it out")
        title.append(_why(named, left_out.reason, left_out.at, left_out.delivery_id))
    else:
        title.append(named(terms.CONTACT, "may be mailed"))
    title.append("" if contact.valid else f", {named(terms.CONTACT, 'invalid address')}")
    if contact.failures:
        title.append(f", failures in a row: {contact.failures} ({contact.failure_reason})")
    status = address_status(contact, now)
    if status.state != VALID:
        title.append(f", {named(terms.ADDRESS_STATUS, status.state)} since {local(status.since)} ({status.why})")
        title.append(f" until {local(status.until)}" if status.until else "")
    if contact.release is not None:
        release = contact.release
        title.append(f", released {local(release.at)} by {release.by} ({release.why})")
    return title


def _why(named: _Named, reason: str, at: float, delivery_id: str) -> str:
    return f" ({', '.join(filter(None, (_reason(named, reason), local(at), delivery_id)))})"


def _reason(named: _Named, reason: str) -> str:
    """Return the name of a reason against an address: of a check, of the card, or the status that caused it."""
    contexts = (terms.SUPPRESSION_REASON, terms.ESCALA_REASON, terms.STATUS)
    return named(next((of for of in contexts if terms.is_known(of, reason)), terms.STATUS), reason)


def _card(lines: list[CardLine], named: _Named) -> LineTable:
    result = table("", "at", "notice", "delivery", "of", "reason")
    for line in lines:
        notice, label = named(terms.ESCALA_NOTICE, line.notice), named(terms.ESCALA_LABEL, line.label)
        result.add_row(local(line.at), notice, line.delivery_id, label, named(terms.ESCALA_REASON, line.reason))
    return result
