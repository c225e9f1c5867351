"""What a viewer sees, whatever strangers wrote into whatever field."""

from __future__ import annotations

import inspect
import json
import types
import typing
from typing import Any

import msgspec
import pytest

from aftersend.console.api.backend import AddressRecord
from aftersend.console.api.routes import ROUTES
from aftersend.publish.kpis import Kpis
from aftersend.publish.redis.reader import DeliveryPage, PageKey
from aftersend.rules.contact.suppression import SuppressionReason, SuppressionResult
from aftersend.rules.explain import wording
from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState
from aftersend.services.answers import (
    ApiDelivery,
    ApiExplanation,
    ApiRecipient,
    CheckedAddress,
)
from aftersend.services.explain.answer import ExplainOptions
from aftersend.services.masking import ALLOWED, HIDDEN, masked
from aftersend.services.public_records import DatedState, to_public
from tests.unit.console.factories import KNOWN, VIEWER, Memory, api, ask

MARK = "their words"
#: Ids of ours.
IDS = {"delivery_id": "sale", "cause_delivery_id": "sale"}
#: Sentences of ours, which `wording` and its neighbours make.
SENTENCES = {"rule": "of ours", "notes": "of ours", "disagreements": "of ours"}


def filled(of: Any, field: str = "") -> Any:
    """Return a value of a type in which every string is `MARK`, at any depth."""
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    made: Any = MARK
    if origin is typing.Annotated:
        made = filled(arguments[0], field)
    elif origin in {types.UnionType, typing.Union}:
        made = filled(next(one for one in arguments if one not in {type(None), msgspec.UnsetType}), field)
    elif origin is list:
        made = [filled(arguments[0], field)]
    elif origin is dict:
        made = {MARK: filled(arguments[1], field)}
    elif of is msgspec.Raw:
        made = msgspec.Raw(json.dumps([MARK]).encode())
    elif isinstance(of, type) and issubclass(of, msgspec.Struct):
        hints = typing.get_type_hints(of, include_extras=True)
        made = of(**{name: filled(hints[name], name) for name in of.__struct_fields__})
    elif of in {int, float, bool}:
        made = of(1)
    elif field in IDS | SENTENCES:
        made = (IDS | SENTENCES)[field]
    return made


class Marked(Memory):
    """Deliveries and rows in which every string is `MARK`."""

    async def read(self, delivery_id: str) -> Kpis | None:
        known = await super().read("sale")
        assert known is not None
        return msgspec.structs.replace(known, delivery_id="sale", statuses={MARK: 1}, decisions={MARK: 1})

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        kpis = await self.read("sale")
        assert kpis is not None
        return DeliveryPage([kpis], 1, None)

    async def row(self, delivery_id: str, recipient: str) -> RecipientState | None:
        return typing.cast("RecipientState", filled(RecipientState))

    async def recipient(self, recipient: str) -> AddressRecord:
        return AddressRecord([filled(RecipientState)], filled(Contact))

    async def explain(self, delivery_id: str, recipient: str, options: ExplainOptions) -> ApiExplanation | None:
        return typing.cast("ApiExplanation", filled(ApiExplanation))

    async def check_suppression(self, recipients: Any, message_type: str) -> list[SuppressionResult]:
        return [SuppressionResult((SuppressionReason("bounced", 1.0, "sale"),)) for _ in recipients]


#: A request to every route, but for the document.
REQUESTS = {
    "/deliveries": ("GET", "/deliveries"),
    "/deliveries/{delivery_id}": ("GET", "/deliveries/sale"),
    "/deliveries/{delivery_id}/recipients/{recipient}": ("GET", f"/deliveries/sale/recipients/{KNOWN}"),
    "/deliveries/{delivery_id}/recipients/{recipient}/explanation": (
        "GET",
        f"/deliveries/sale/recipients/{KNOWN}/explanation",
    ),
    "/recipients/{recipient}": ("GET", f"/recipients/{KNOWN}"),
    "/suppression/check": ("POST", "/suppression/check"),
}


@pytest.mark.parametrize("path", REQUESTS)
async def test_no_answer_of_the_api_has_their_words(path: str) -> None:
    method, target = REQUESTS[path]
    body = json.dumps({"addresses": [KNOWN, f"{MARK}@example.com", MARK]}).encode() if method == "POST" else b""
    headers = {"content-type": "application/json"}

    answer = await ask(api(Marked()), f"/api/v1{target}", method=method, token=VIEWER, headers=headers, body=body)

    assert 200 == answer.status
    assert [] == [words for words in (MARK, "jane", "example") if words in answer.raw.decode()]


def test_every_route_is_masked() -> None:
    assert {route.path for route in ROUTES if not route.public} == set(REQUESTS)


@pytest.mark.parametrize("of", [RecipientState, Contact, ApiDelivery, ApiRecipient, ApiExplanation, CheckedAddress])
def test_no_field_of_a_record_has_their_words(of: type[msgspec.Struct]) -> None:
    record = filled(of)
    shown = to_public(record) if of in {RecipientState, Contact} else msgspec.to_builtins(record)
    assert MARK in json.dumps(shown)

    assert MARK not in json.dumps(masked(shown))


def test_a_new_field_is_hidden() -> None:
    assert {"phone": HIDDEN, "deep": [{"note": HIDDEN}]} == masked({"phone": "+49", "deep": [{"note": "x"}]})


@pytest.mark.parametrize(
    "field, value",
    [
        ("updated_at", "2025-09-14T12:00:00.500Z"),
        ("delivery_id", "spring-sale"),
        ("status", "hard_bounce"),
        ("facts", ["sent", "hard_bounced"]),
        ("kind", "complained"),
        ("source", "sendgrid"),
        ("reason", "quarantined"),
        ("enhanced_code", "5.1.1"),
        ("topic", "feedback.raw.sendgrid"),
        ("kpis", {"delivered": 3}),
        ("views", {"efs": {"before": "Sent", "after": None}}),
        ("code", 550),
        ("final", True),
        ("diagnostic", ""),
    ],
)
def test_numbers_times_and_names_of_ours_are_seen(field: str, value: object) -> None:
    assert {field: value} == masked({field: value})


@pytest.mark.parametrize(
    "field, value",
    [
        ("updated_at", "yesterday"),
        ("delivery_id", "welcome-jane@example.com"),
        ("status", "Jane's"),
        ("reason", "mailbox of jane is full"),
        ("event_id", "0123456789abcdef"),
        ("provider_id", "1"),
        ("enhanced_code", "5.1.1 <jane>"),
        ("topic", "jane"),
        ("recipient", "jane@example.com"),
        ("ip", "203.0.113.77"),
        ("url", "https://brand.example"),
        ("user_agent", "curl"),
        ("by", "jane"),
        ("kpis", "jane"),
    ],
)
def test_what_is_not_of_its_fields_kind_is_hidden(field: str, value: str) -> None:
    assert {field: HIDDEN} == masked({field: value})


def test_sentences_are_made_of_numbers_and_names_of_ours() -> None:
    """No function that makes one is given any text."""
    makers = [
        made for made in vars(wording).values() if inspect.isfunction(made) and made.__module__ == wording.__name__
    ]
    annotations = {str(p.annotation) for made in makers for p in inspect.signature(made).parameters.values()}

    assert annotations <= {"int", "int | None", "float", "float | None", "bool | None"}


def test_the_list_names_fields_that_are_there() -> None:
    fields: set[str] = set()

    def collect(shown: Any) -> None:
        if isinstance(shown, dict):
            fields.update(shown)
        for inner in shown.values() if isinstance(shown, dict) else shown if isinstance(shown, list) else ():
            collect(inner)

    collect([to_public(filled(DatedState)), to_public(filled(Contact))])
    collect([msgspec.to_builtins(filled(of)) for of in (ApiDelivery, ApiRecipient, ApiExplanation, CheckedAddress)])

    assert set() == set(ALLOWED) - fields - {"next", "until"}, "of a page of deliveries, and of a command"
