"""Declaring a delivery from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aftersend.config.loading import load
from aftersend.errors import UsageError
from aftersend.publish.kpis import from_counters
from aftersend.schemas.delivery import Declaration, Delivery
from aftersend.services.deliveries.declare import encode_declaration, merge_declaration
from aftersend.services.deliveries.overview import DeliveryOverview, as_json
from aftersend.sources.base import SourceOptions
from aftersend.sources.own.sender import SOURCE

KNOWN = Delivery(1, "d", 5.0, "Spring", "acme", "campaign", "efs", 84.0, 14.0, 7.0, 9, "e")


def merged(known: Delivery | None, **given: Any) -> Declaration:
    (event,) = SOURCE.parser(SourceOptions())(encode_declaration(merge_declaration(known, "d", given)))
    assert event.declaration is not None
    assert "d" == event.delivery_id
    return event.declaration


def test_properties_that_are_not_given_stay() -> None:
    assert Declaration("Spring", "efs", 12.0, 14.0, 7.0, 9) == merged(KNOWN, validity_hours=12.0)
    record = merge_declaration(KNOWN, "d", {})
    assert ("acme", "campaign") == (record["tenant"], record["message_type"])


def test_a_property_without_a_value_is_removed() -> None:
    assert Declaration("Spring", "efs", None, 14.0, 7.0, 9) == merged(KNOWN, validity_hours=None)


def test_a_first_declaration_has_the_given_properties_only() -> None:
    assert Declaration("New") == merged(None, name="New")


def test_each_declaration_has_its_own_event_id() -> None:
    """A former declaration can be declared again."""
    assert merge_declaration(KNOWN, "d", {})["event_id"] != merge_declaration(KNOWN, "d", {})["event_id"]


def test_a_declaration_that_the_source_rejects_is_not_written() -> None:
    with pytest.raises(UsageError, match="expected_audience"):
        encode_declaration(merge_declaration(None, "d", {"expected_audience": -1}))
    with pytest.raises(UsageError, match="control character"):
        encode_declaration(merge_declaration(None, "a\tb", {}))


def test_the_json_object_has_every_field() -> None:
    settings = load(statistics_update_period_days=30)
    seen = from_counters("d", {"audience": 3}, 5.0, 6.0)
    both = as_json(DeliveryOverview("d", KNOWN, seen), settings)
    assert (True, 14.0, 84.0, "1970-01-01T00:00:07.000Z", 3) == (
        both["declared"],
        both["statistics_update_period_days"],
        both["validity_hours"],
        both["start"],
        both["audience"],
    )
    heard_of = as_json(DeliveryOverview("d", None, seen), settings)
    assert (False, 30) == (heard_of["declared"], heard_of["statistics_update_period_days"])
    assert json.dumps(heard_of)
    assert "audience" not in as_json(DeliveryOverview("d", KNOWN), settings)
