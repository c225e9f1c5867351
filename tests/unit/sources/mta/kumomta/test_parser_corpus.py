"""KumoMTA's own examples: its documentation's records, and its test reports as it would log them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceOptions
from aftersend.sources.mta.kumomta.parser import KumoLog

#: A diagnostic text that does not begin with a code: KumoMTA keeps it as it is, and makes the code up.
UNPARSED = (
    "host example-com.mail.eo.outlook.com:25 says: 550 5.4.1 Recipient address rejected: Access denied. For more "
    "information see https://aka.ms/EXOSmtpErrors [XXX.namprd05.prod.outlook.com 2026-03-13T18:10:42.797Z XXX]"
)

Parse = Callable[..., list[Feedback]]


@pytest.fixture(scope="module")
def reports(corpus: Path) -> dict[str, dict[str, Any]]:
    """Return KumoMTA's reading of each report, by the report's file."""
    lines = (corpus / "mta/kumomta/dsn_arf_expected.jsonl").read_text().splitlines()
    return {case["file"]: case["expected"] for case in map(json.loads, lines)}


def test_records_of_the_documentation(corpus: Path) -> None:
    parser = KumoLog(SourceOptions())
    lines = (corpus / "mta/kumomta/docs_log_records/records.jsonl").read_text().splitlines()
    got = []
    for case in map(json.loads, lines):
        (event,) = parser.parse(json.dumps(case["record"]).encode())
        got.append((event.type, event.recipient, event.delivery_id, event.tenant, event.occurred_at, event.reason))
    assert [
        ("delivered", "user@recipient.example.com", "campaign", "tenant", 1757675281.440526, ""),
        ("complained", "test@example.com", "", "", 1110304800.0, "abuse"),
        ("sent", "wez@example.com.org", "", "", 1691595584.0, ""),
        ("sent", "recipient@example.com", "", "", 1682712864.0, ""),
        ("complained", "test@example.com", "", "", 1110304800.0, "abuse"),
        ("sent", "test@example.com", "", "", 1695847980.0, ""),
        ("sent", "test@example.com", "", "", 1695847980.0, ""),
        ("delivered", "user@recipient.example.com", "campaign", "tenant", 1678069691.0, ""),
        ("sent", "mmiihhww09@gmail.com", "", "default", 1702996556.0, ""),
        ("deferred", "user@yahoo.com", "", "", 1700000000.0, "Uncategorized"),
    ] == got


@pytest.mark.parametrize(
    "number,recipient",
    [
        (1, ""),  # names nobody, and its X-KumoRef is missing
        (2, "test@example.com"),  # by X-KumoRef; the report names another
        (3, "user@example.com"),  # by Original-Rcpt-To
        (4, "user@example.com"),  # by the original's To; Original-Rcpt-To is a hash
    ],
)
def test_feedback_reports(number: int, recipient: str, reports: dict[str, Any], parse: Parse) -> None:
    (event,) = parse(
        type="Feedback",
        sender="feedback@arf.mail.example",
        recipient="fbl@brand.example",
        queue="brand.example",
        response={"code": 250, "enhanced_code": None, "content": "", "command": None},
        meta={},
        feedback_report=reports[f"rfc5965/{number}.eml"],
    )
    assert ("complained", "abuse", recipient) == (event.type, event.reason, event.recipient)


def logged(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what KumoMTA writes for a delivery status report: a record for each recipient that failed."""
    records = []
    for recipient in report["per_recipient"]:
        if recipient["action"] != "Failed":
            continue
        diagnostic = recipient["diagnostic_code"]
        code, content = 550, ""
        if diagnostic is not None and diagnostic["diagnostic_type"] == "smtp":
            first, _, rest = diagnostic["diagnostic"].partition(" ")
            code, content = (int(first), rest) if first.isdigit() else (550, diagnostic["diagnostic"])
        status = {key: recipient["status"][key] for key in ("class", "subject", "detail")}
        records.append(
            {
                "type": "OOB",
                "sender": "bounces@mail.brand.example",
                "recipient": (recipient["original_recipient"] or recipient["final_recipient"])["recipient"],
                "queue": "mail.brand.example",
                "peer_address": {"name": report["per_message"]["reporting_mta"]["name"], "addr": "203.0.113.9"},
                "response": {"code": code, "enhanced_code": status, "content": content, "command": None},
                "meta": {},
            }
        )
    return records


@pytest.mark.parametrize(
    "name,expected",
    [
        ("1", [("louisl@larry.slip.umd.edu", "soft_bounce", "Uncategorized", "connection timed out")]),
        (
            "2",
            [
                (
                    "arathib@vnet.ibm.com",
                    "hard_bounce",
                    "Uncategorized",
                    "'arathib@vnet.IBM.COM' is not a registered gateway user",
                ),
                ("wsnell@sdcc13.ucsd.edu", "hard_bounce", "Uncategorized", "user unknown"),
            ],
        ),
        ("3", [("nair_s", "hard_bounce", "Uncategorized", "")]),
        ("4", []),
        ("5", [("recipient@domain.com", "soft_bounce", "QuotaIssues", "<recipient@domain.com> rejected: over quota")]),
        (
            "6",
            [
                (
                    "redacted@example.com",
                    "hard_bounce",
                    "Uncategorized",
                    UNPARSED,
                )
            ],
        ),
        (
            "obsolete_arrival_date",
            [("user@example.com", "hard_bounce", "InvalidRecipient", "5.1.1 Mailbox does not exist")],
        ),
    ],
)
def test_delivery_status_reports(
    name: str, expected: list[tuple[str, str, str, str]], reports: dict[str, Any], parse: Parse
) -> None:
    events = [event for record in logged(reports[f"rfc3464/{name}.eml"]) for event in parse(**record)]
    assert expected == [(e.recipient, e.type, e.reason, e.diagnostic) for e in events]
    assert len(expected) == len({e.event_id for e in events})


def test_every_report_is_tried(reports: dict[str, Any]) -> None:
    assert 11 == len(reports)
