"""`aftersend recipient`."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from aftersend.cli.context import Json, address_key, command_settings, wait_for
from aftersend.cli.render.output import console, local, print_json, table
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.rules.contact.quarantine import VALID, address_status
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.history import HistoryEntry, unpack_history
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.views.escala.card import CardLine
from aftersend.rules.views.escala.card import as_json as lines_as_json
from aftersend.schemas.contact import Contact
from aftersend.schemas.partitioning import partition_of
from aftersend.schemas.recipient import RecipientState
from aftersend.services.cluster import partitions_of
from aftersend.services.installation import codec
from aftersend.services.recipients import StoredAddress, card_of, contact_as_json, find, row_as_json
from aftersend.tables.codec.public import Codec


def recipient(address: str, /, *, delivery: str | None = None, as_json: Json = False) -> int:
    """Show what became of one recipient, and why.

    For each delivery: the status, what ever happened (facts), when, the last failure in the other side's words, and
    the last events with what each of them did. Then the contact's card: whether the address may be mailed, why not,
    and a notice for each message that did not go well, the newest first, of a campaign or an automation: bounced,
    delivered and then marked as spam, or not sent, and why. Read from the compacted topics: the truth, not a copy.

    One partition of them is read from its beginning, at some hundred thousand rows a second. Exit code 1 if nothing is
    known of the address.

    For example:

        aftersend recipient jane@example.com
        aftersend recipient jane@example.com --delivery spring-sale --json | jq .deliveries[0].status

    Args:
        address: In any spelling: it is brought into the one that the tables use.
        delivery: Show this delivery only.
        as_json: One JSON object.
    """
    settings = command_settings()
    key = address_key(address)
    found = wait_for(_find(settings, key, delivery))
    names = codec(settings)
    if as_json:
        rows = [row_as_json(state, row, names) for state, row in found.rows.values()]
        contact = contact_as_json(found.contact, time.time()) if found.contact is not None else None
        card = lines_as_json(card_of(found, delivery))
        print_json({"recipient": key, "deliveries": rows, "contact": contact, "card": card})
    else:
        console().print(_picture(key, found, card_of(found, delivery), names))
    return EXIT_OK if found.rows or found.contact else EXIT_FAILED


async def _find(settings: Settings, key: str, delivery: str | None) -> StoredAddress:
    partitions = await partitions_of(settings, settings.topics.status, settings.topics.contacts)
    return await find(settings, key, partition_of(key, partitions), delivery)


def _picture(key: str, found: StoredAddress, card: list[CardLine], names: Codec) -> RenderableType:
    parts: list[RenderableType] = [Text(key, style="bold"), ""]
    if not found.rows:
        parts.append("no delivery")
    latest = sorted(found.rows.values(), key=lambda row: -row[0].updated_at)
    for state, row in latest:
        parts += [_row(state), _history(unpack_history(row.history), names), ""]
    parts += [_contact(found.contact), *([_card(card)] if card else ())]
    return Group(*parts)


def _row(state: RecipientState) -> RenderableType:
    status = Text(state.delivery_id or "(no delivery id)", style="bold")
    status.append(": ").append(state.status.replace("_", " "), style="bold cyan")
    status.append(" (final)" if state.final else "").append(f" since {local(state.updated_at)}")
    status.append(f", was {state.previous.replace('_', ' ')}" if state.previous else "")
    lines: list[RenderableType] = [status]
    facts = bytes(state.facts).decode().strip("[]").replace('"', "").replace(",", ", ").replace("_", " ")
    lines.append(Text(f"  facts    {facts}"))
    times = {
        "sent": state.sent_at,
        "delivered": state.delivered_at,
        f"opened ({state.opens})": state.opened_at,
        f"clicked ({state.clicks})": state.clicked_at,
        "unsubscribed": state.unsubscribed_at,
        "complained": state.complained_at,
    }
    known = ", ".join(f"{name} {local(at)}" for name, at in times.items() if at)
    if known:
        lines.append(Text(f"  times    {known}"))
    if state.failure is not None:
        failure = state.failure
        words = " ".join(filter(None, (str(failure.code or ""), failure.enhanced_code, failure.diagnostic)))
        lines.append(Text(f"  failure  {failure.reason} at {local(failure.at)}: {words}"))
    return Group(*lines)


def _history(history: list[HistoryEntry], names: Codec) -> RenderableType:
    shown = table("", "arrived", "event", "decision", "again", "source", "raw record", right=("again",))
    for entry in history:
        place = f"partition {entry.partition}, offset {entry.offset}" if any(entry.digest) else ""
        shown.add_row(
            local(entry.received_at),
            KIND_NAME[entry.kind].replace("_", " "),
            DECISION_NAMES[entry.decision].replace("_", " "),
            str(entry.repeats) if entry.repeats else "",
            names.source_names.get(entry.source, ""),
            place,
        )
    return Padding(shown, (0, 0, 0, 2), expand=False)


def _contact(contact: Contact | None) -> Text:
    if contact is None:
        return Text("card: nothing is held against the address")
    title = Text("card: ", style="bold")
    if contact.do_not_email:
        why = f" ({contact.cause.replace('_', ' ')}, {local(contact.cause_at)}, {contact.cause_delivery_id})"
        title.append("do not email", style="bold red").append(why)
    else:
        title.append("may be mailed")
    title.append("" if contact.valid else ", address not valid")
    if contact.failures:
        title.append(f", failures in a row: {contact.failures} ({contact.failure_reason})")
    how = address_status(contact, time.time())
    if how.state != VALID:
        title.append(f", {how.state} since {local(how.since)} ({how.why})")
        title.append(f" until {local(how.until)}" if how.until else "")
    if contact.release is not None:
        of = contact.release
        title.append(f", released {local(of.at)} by {of.by} ({of.why})")
    return title


def _card(lines: list[CardLine]) -> RenderableType:
    shown = table("", "at", "notice", "delivery", "of", "reason")
    for line in lines:
        shown.add_row(local(line.at), line.notice, line.delivery_id, line.label, line.reason.replace("_", " "))
    return Padding(shown, (0, 0, 0, 2), expand=False)
