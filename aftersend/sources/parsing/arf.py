"""Reading a feedback loop's report (ARF, RFC 5965): who complained, about which delivery.

Mailbox providers hide what they can: many reports name no recipient, or a hash of it. What the sender's MTA put into
the original message is the better witness, first of all a trace header with the recipient and the metadata.
"""

from __future__ import annotations

import binascii
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.sources.parsing.address import control_character


class FeedbackType(NamedTuple):
    """What one type of report means."""

    name: str
    #: The canonical type; "" for none.
    type: str
    why: str


FEEDBACK_TYPES: Final = (
    FeedbackType("abuse", "complained", "marked as spam"),
    FeedbackType("fraud", "complained", "reported as fraud or phishing"),
    FeedbackType("virus", "complained", "reported as carrying a virus: whoever said so wants no more of it"),
    FeedbackType("other", "complained", "a report of no other type"),
    FeedbackType("opt-out", "unsubscribed", "asks to be taken off the list (an older draft's type)"),
    FeedbackType("opt-out-list", "unsubscribed", "the same"),
    FeedbackType("not-spam", "", "the opposite of a complaint (RFC 6430), but takes none back"),
    FeedbackType("auth-failure", "", "a host's report on SPF, DKIM or DMARC (RFC 6591), not a recipient's"),
    FeedbackType("dmarc", "", "the same"),
)

#: RFC 5965 has types that are not known taken for `other`.
UNLISTED_FEEDBACK: Final = "complained"

TYPE_OF_FEEDBACK: Final = {t.name: t.type for t in FEEDBACK_TYPES}

#: Headers are at a message's beginning; more is not looked at.
_MAX_HEADERS: Final = 100_000

#: What stands for an address in a redacted report (RFC 6590): a hash's hex digits, or a word.
_HASH_LENGTHS: Final = frozenset({32, 40, 56, 64, 96, 128})
_REDACTED: Final = frozenset({"redacted", "[redacted]", "undisclosed", "x", "xxx", "xxxx"})


class Report(msgspec.Struct, gc=False):
    """A feedback report that was taken apart already. Reports come from outside: any field may hold anything."""

    feedback_type: Any = None
    user_agent: Any = None
    arrival_date: Any = None
    original_mail_from: Any = None
    original_rcpto_to: Any = None
    extensions: Any = None
    #: Text, or a list of byte values where it is not UTF-8.
    original_message: Any = None
    #: What the MTA decoded from its own trace header in the original message.
    supplemental_trace: Any = None


class Evidence(NamedTuple):
    """What a report says of the message that it is about."""

    #: Who complained, as spelled there; "" if nothing says.
    recipient: str
    #: Metadata that the sender had put into his trace header.
    trace: dict[str, Any]
    #: Headers of the original message, by lower-case name.
    headers: dict[str, str]


def read_report(report: Report, trace_header: str) -> Evidence:
    """Return what a report says. Never raises: what can't be read says nothing.

    Args:
        report: as it was taken apart.
        trace_header: that the MTA puts into messages, in lower case: base64 of a JSON object.
    """
    headers = _headers(_text(report.original_message))
    trace = report.supplemental_trace
    if not isinstance(trace, dict):
        trace = _decode_trace(headers.get(trace_header, ""))
    return Evidence(_recipient(report, trace, headers), trace, headers)


def _recipient(report: Report, trace: dict[str, Any], headers: dict[str, str]) -> str:
    reported = [_bare(address) for address in _strings(report.original_rcpto_to)]
    traced = _strings(trace.get("recipient"))
    if len(traced) > 1:  # one message to several: the report has to say which of them it was
        named = {address.lower() for address in reported}
        traced = [address for address in traced if address.lower() in named]
    extensions = report.extensions if isinstance(report.extensions, dict) else {}
    removals = _strings(extensions.get("removal-recipient"))
    for addresses in (traced, [_bare(a) for a in removals], reported, [_single_address(headers.get("to", ""))]):
        usable = dict.fromkeys(a for a in addresses if "@" in a and not _redacted(a) and control_character(a) < 0)
        if len(usable) == 1:
            return next(iter(usable))
    # A hash of the address is still the same for the same person.
    return next((a for a in reported if "@" in a and control_character(a) < 0), "")


def _strings(value: object) -> list[str]:
    """Return the strings in a value that should be a string or a list of strings."""
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, str) and v]


def _text(message: object) -> str:
    if isinstance(message, str):
        return message[:_MAX_HEADERS]
    if isinstance(message, list):
        values = [v for v in message[:_MAX_HEADERS] if isinstance(v, int) and 0 <= v <= 0xFF]  # noqa: PLR2004
        return bytes(values).decode("latin-1")
    return ""


def _headers(message: str) -> dict[str, str]:
    """Return a message's headers, unfolded; the first of several with one name."""
    headers: dict[str, str] = {}
    name = ""
    for line in message.replace("\r\n", "\n").split("\n"):
        if not line:
            break
        if line[0] in " \t":
            if name:
                headers[name] += f" {line.strip()}"
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name in headers:
            name = ""
        else:
            headers[name] = value.strip()
    return headers


def _decode_trace(value: str) -> dict[str, Any]:
    """Return what a trace header holds: base64 of a JSON object."""
    try:
        trace = msgspec.json.decode(binascii.a2b_base64("".join(value.split())))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return {}
    return trace if isinstance(trace, dict) else {}


def _bare(address: str) -> str:
    return address.strip().removeprefix("<").removesuffix(">")


def _single_address(header: str) -> str:
    """Return the address in a `To` header that has just one, else ""."""
    if header.count("@") != 1:
        return ""
    _, bracket, rest = header.partition("<")
    address = rest.partition(">")[0] if bracket else header
    address = address.strip()
    return address if "@" in address and " " not in address else ""


def _redacted(address: str) -> bool:
    local = address.rpartition("@")[0].lower()
    return local in _REDACTED or (len(local) in _HASH_LENGTHS and all(c in "0123456789abcdef" for c in local))
