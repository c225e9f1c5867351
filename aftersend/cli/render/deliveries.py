"""Deliveries and their declarations as tables."""

from __future__ import annotations

from collections.abc import Sequence

from aftersend.cli.render.output import Line, LineTable, count, local, table
from aftersend.config.settings import Settings
from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import ENGLISH, LanguageCode
from aftersend.rules.views import VIEWS
from aftersend.services.deliveries.overview import DeliveryOverview
from aftersend.services.names.terms import MESSAGE_TYPE
from aftersend.services.names.views import ViewNames


def delivery_list(
    deliveries: Sequence[DeliveryOverview], settings: Settings, language: LanguageCode = ENGLISH
) -> LineTable:
    """Return a table of deliveries, with names in a language; undeclared ones are dim."""
    result = table(
        "",
        *("delivery", "name", "tenant", "type", "policy", "validity", "statistics", "audience", "expected", "start"),
        "last change",
        right=("validity", "statistics", "audience", "expected"),
    )
    for delivery in deliveries:
        values = dict(_values(delivery, settings, language))
        result.add_row(
            Line(delivery.delivery_id, style="" if delivery.declared is not None else "dim"),
            *(Line(values.get(name, "")) for name in ("name", "tenant", "message type", "policy")),
            *(values[name].split(" (")[0] for name in ("validity", "statistics period")),
            *(values.get(name, "") for name in ("audience", "expected audience", "start", "last change")),
        )
    return result


def delivery_details(delivery: DeliveryOverview, settings: Settings, language: LanguageCode = ENGLISH) -> LineTable:
    """Return a table with a line for each value of one delivery, with names in a language."""
    result = table("", "", "")
    for name, value in _values(delivery, settings, language):
        view = VIEWS.get(value) if name == "policy" else None
        result.add_row(name, Line(f"{value}: {ViewNames(view, language).title}" if view is not None else value))
    return result


def _values(delivery: DeliveryOverview, settings: Settings, language: LanguageCode) -> list[tuple[str, str]]:
    """Return the values of a delivery by name; unknown ones are left out."""
    declared, kpis = delivery.declared, delivery.kpis
    values = [("delivery", delivery.delivery_id)]
    hours = days = start = None
    if declared is not None:
        hours, days, start = declared.validity_hours, declared.statistics_update_period_days, declared.start
        expected = declared.expected_audience
        values += [
            ("name", declared.name),
            ("tenant", declared.tenant),
            ("message type", name_of(language, MESSAGE_TYPE, declared.message_type) if declared.message_type else ""),
            ("policy", declared.policy),
            ("expected audience", "" if expected is None else count(expected)),
            ("declared", local(declared.declared_at)),
        ]
    else:
        values.append(("declared", "no: created by its first event"))
    period = settings.statistics_update_period_days if days is None else days
    values += [
        ("validity", f"{hours:g} h" if hours is not None else "by source (settings)"),
        ("statistics period", f"{period:g} d" if days is not None else f"{period:g} d (settings)"),
    ]
    if start is not None:
        values.append(("start", local(start)))
    elif kpis is not None:
        values.append(("start", local(kpis.started_at)))
    if kpis is not None:
        values += [
            ("audience", count(kpis.kpis["audience"])),
            ("first event", local(kpis.started_at)),
            ("last change", local(kpis.updated_at)),
            ("rows", "deleted after their retention" if kpis.archived else ""),
        ]
    return [(name, value) for name, value in values if value]
