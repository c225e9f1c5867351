"""Written records are valid for the JSON Schemas in `docs/reference/schemas`."""

import json
import re
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from aftersend.docgen.schemas import DOCUMENTED, documents
from aftersend.docgen.topics import render as topics_page
from aftersend.rules.kpi.indicators import ROW_KPIS
from aftersend.schemas.event import EVENT_TYPES, Feedback
from aftersend.tables.codec.keys import CLOCK_KEY
from tests.unit.rules.factories import HOUR, START, event
from tests.unit.tables.factories import CODEC, Partition, rows, texts, tick


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(documents()[f"{name}.json"]))


def check(name: str, value: bytes | None) -> None:
    validator(name).validate(json.loads(value or b""))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_they_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(documents()[f"{name}.json"]))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_descriptions_name_no_internals(name: str) -> None:
    """Modules and constants of the package mean nothing to consumers."""
    assert [] == re.findall(r"\b(?:rules|schemas|sources|tables)\.\w+|`[A-Z_]+`", documents()[f"{name}.json"])


@given(texts, texts, rows)
def test_any_row_is_valid(delivery_id: str, recipient: str, row: Any) -> None:
    check("recipient-state", CODEC.state(delivery_id, recipient, row))


@given(st.randoms(use_true_random=False))
def test_all_that_a_partition_writes_is_valid(random: Random) -> None:
    partition = Partition()
    for at in range(4):
        events = [
            event(
                random.choice(EVENT_TYPES[:-1]),
                at * 20 * HOUR,
                recipient=random.choice(["a@example.org", "b@example.org"]),
                reason=random.choice(["stopped", "InvalidRecipient"]),
                message_type=random.choice(["", "campaign"]),
                code=550,
            )
            for _ in range(5)
        ]
        partition.take(*events, tick(at * 20 * HOUR))
    for record in partition.written["feedback.status"]:
        check("recipient-state", record.value)
    for record in partition.written["feedback.kpis"]:
        check("clock" if record.key == CLOCK_KEY else "delivery-kpis", record.value)
    for record in partition.written.get("feedback.contacts", []):
        check("contact", record.value)


def test_events_are_valid() -> None:
    full = Feedback("i", "d", "r@example.org", "clicked", START, url="https://example.org", unsubscribe_link=True)
    least = Feedback("", "", "", "unknown")

    check("feedback", msgspec.json.encode(full))
    check("feedback", msgspec.json.encode(least))


WRONG = [
    ("recipient-state", "status", "flown"),
    ("recipient-state", "facts", ["flown"]),
    ("recipient-state", "facts", ["sent", "sent"]),
    ("recipient-state", "schema", 2),
    ("recipient-state", "updated_at", "yesterday"),
    ("delivery-kpis", "kpis", {}),
    ("delivery-kpis", "statuses", {"flown": 1}),
    ("feedback", "type", "flown"),
]


@pytest.mark.parametrize("name, field, wrong", WRONG)
def test_what_is_wrong_is_not_valid(name: str, field: str, wrong: Any) -> None:
    partition = Partition()
    partition.take(event("sent"))
    right = {
        "recipient-state": partition.last("feedback.status").value,
        "delivery-kpis": partition.last("feedback.kpis").value,
        "feedback": msgspec.json.encode(event("sent")),
    }[name]
    check(name, right)

    with pytest.raises(ValidationError):
        check(name, json.dumps(json.loads(right or b"") | {field: wrong}).encode())


def test_fields_of_the_future_are_valid() -> None:
    """Fields are added without a new version: consumers ignore unknown fields."""
    check("recipient-state", json.dumps(json.loads(CODEC.state("d", "r", _row())) | {"of_the_future": 1}).encode())


def _row() -> Any:
    partition = Partition()
    partition.take(event("sent"))
    return partition.row()


def test_every_kpi_is_described() -> None:
    kpis = json.loads(documents()["delivery-kpis.json"])["properties"]["kpis"]

    assert set(ROW_KPIS) < set(kpis["required"])
    assert all(kpi["description"] for kpi in kpis["properties"].values())


TOPICS_PAGE = topics_page()
EXAMPLES = {
    "status": "recipient-state",
    "contacts": "contact",
    "kpis": "delivery-kpis",
    "deliveries": "delivery",
    "alerts": "alert",
    "events": "feedback",
}


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_examples_in_the_docs_are_valid(heading: str) -> None:
    section = TOPICS_PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    examples = re.findall(r"```json\n(.*?)```", section, re.DOTALL)

    assert examples
    for example in examples:
        check("clock" if '"tick"' in example else EXAMPLES[heading], example.encode())


def test_every_schema_is_linked_in_the_docs() -> None:
    assert set(documents()) == set(re.findall(r"\(schemas/(.*?)\)", TOPICS_PAGE))
