from typing import get_args

import pytest

from aftersend.config.installation import foreign_topics, parsers, raw_sources, source_options, topic_layouts
from aftersend.config.loading import load
from aftersend.config.sections.alerts import AlertName
from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.services.installation import alert_thresholds, fold_timing
from aftersend.sources.base import SourceOptions
from aftersend.sources.registry import NUMBERS, REGISTRY


def test_every_option_of_the_sources_is_a_setting() -> None:
    """Its default is that of the source, as documented."""
    assert SourceOptions() == source_options(load())
    assert set(SourceOptions.__struct_fields__) <= Settings.model_fields.keys()


def test_settings_reach_the_sources() -> None:
    set_differently = {
        "delivery_keys": ("a",),
        "message_type_keys": ("b",),
        "tenant_keys": ("c",),
        "test_keys": ("d",),
        "delivery_headers": ("e",),
        "campaign_from_queue": False,
        "return_path": "(?P<delivery>x)",
        "unsubscribe_urls": ("f",),
    }

    assert SourceOptions(**set_differently) == source_options(load(**set_differently))  # type: ignore[arg-type]


def test_every_source_has_a_parser_and_a_raw_topic() -> None:
    settings = load(topic_prefix="t", raw_retention_days=2.0, partitions=3)

    layouts = {layout.name: layout for layout in topic_layouts(settings)}

    assert REGISTRY.keys() == parsers(settings).keys() == set(raw_sources())
    assert {f"t.raw.{name}" for name in raw_sources()} < layouts.keys()
    assert ("172800000", 3) == (layouts["t.events"].config["retention.ms"], layouts["t.events"].partitions)


def test_rows_wait_as_long_as_their_source_tries() -> None:
    """In hours; a source that is not listed has the window of the installation."""
    windows = fold_timing(load(response_window_hours=24)).windows

    assert dict.fromkeys(NUMBERS, 24.0) | {"sendgrid": 72.0} == {
        name: windows[number] / 3600 for name, number in NUMBERS.items()
    }


def test_foreign_topics_are_configured_by_their_owners() -> None:
    settings = load(events_topic="events", raw_topics={"kumomta": "mta-log"})

    assert {"events", "mta-log"} == foreign_topics(settings)
    assert set() == foreign_topics(load())


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"raw_topics": {"kumo": "x"}}, "AFTERSEND_RAW_TOPICS.*no source kumo"),
        ({"tenant_keys": ("delivery_id",)}, "configured for two things: delivery_id"),
        ({"return_path": "(("}, "return_path is no regular expression"),
    ],
)
def test_invalid_settings_of_sources_are_errors(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parsers(load(**wrong))


def test_thresholds_are_set_by_tenant() -> None:
    """A tenant's thresholds default to those of all tenants, and these to the documented ones."""
    settings = load(
        alert_thresholds={"*": {"complaints": 0.002}, "acme": {"hard_bounces": {"limit": 0.03, "minimum": 500}}}
    )
    thresholds = alert_thresholds(settings)

    assert {"hard_bounces": (0.05, 100), "unsubscribes": (0.05, 100), "complaints": (0.002, 1000)} == {
        one.name: (one.limit, one.minimum) for one in thresholds.of("anybody")
    }
    assert {"hard_bounces": (0.03, 500), "unsubscribes": (0.05, 100), "complaints": (0.002, 1000)} == {
        one.name: (one.limit, one.minimum) for one in thresholds.of("acme")
    }
    assert THRESHOLDS == alert_thresholds(load()).of("")


def test_settings_contain_the_thresholds() -> None:
    assert [threshold.name for threshold in THRESHOLDS] == list(get_args(AlertName))
