"""The page of topics, `docs/reference/topics.md`, from the layouts of the topics and the schemas of their values."""

from __future__ import annotations

import json
from typing import Any, Final

from aftersend.docgen import schemas
from aftersend.docgen.template import fill, table
from aftersend.schemas.topics import TopicLayout, Topics, layouts

_DAYS: Final = 90.0
_PARTITIONS: Final = 8
_SOURCE: Final = "<source>"
#: By the end of the topic's name: what its records' keys are, and the schema of their values.
_RECORDS: Final = {
    f"raw.{_SOURCE}": ("as its writer likes", ""),
    "raw.clock": ("none", ""),
    "events": ("recipient", "feedback"),
    "status": ("delivery id, TAB, recipient", "recipient-state"),
    "contacts": ("recipient", "contact"),
    "kpis": ("delivery id, TAB, partition; `@clock`", "delivery-kpis"),
    "deliveries": ("delivery id", "delivery"),
    "alerts": ("delivery id, TAB, alert", "alert"),
    "dead-letters": ("as it was", ""),
    "control": ("none", ""),
    "positions": ("`position`, TAB, topic, TAB, partition; `owner`, TAB, cluster id, `/`, app id", ""),
}
#: Schemas whose fields the page lists.
_LISTED: Final = ("feedback", "recipient-state", "contact", "delivery-kpis", "clock", "delivery", "alert")


def render() -> str:
    """Return the page."""
    documents = {name: json.loads(schemas.documents()[f"{name}.json"]) for name in _LISTED}
    fields = {f"fields of {name}": _fields(document) for name, document in documents.items()}
    return fill("topics", {"overview": _overview(), **fields})


def _overview() -> str:
    every = layouts(Topics("<prefix>"), (_SOURCE,), _PARTITIONS, _DAYS)
    return table(("topic", "holds", "key", "partitions", "kept", "schema"), map(_line, every))


def _line(layout: TopicLayout) -> tuple[str, ...]:
    key, schema = _RECORDS[layout.name.removeprefix("<prefix>.")]
    return (
        f"`{layout.name}`",
        layout.purpose,
        key,
        "one" if layout.partitions == 1 else "`partitions`",
        _kept(layout.config),
        f"[{schema}.json](schemas/{schema}.json)" if schema else "",
    )


def _kept(config: dict[str, str]) -> str:
    if config["cleanup.policy"] == "delete":
        return "`raw_retention_days`"
    if "min.compaction.lag.ms" in config:
        return "the last of each key; all of a week"
    return "the last of each key"


def _fields(document: dict[str, Any]) -> str:
    required = set(document.get("required", ()))
    rows = []
    for name, field in document["properties"].items():
        meaning = str(field.get("description", "")).replace("\n", " ")
        if values := _values(field):
            meaning = f"{meaning} {values}".strip()
        rows.append((f"`{name}`", _type(field), "yes" if name in required else "", meaning))
    return table(("field", "type", "always there", "meaning"), rows)


def _type(field: dict[str, Any]) -> str:
    if reference := field.get("$ref"):
        return f"object ({reference.rsplit('/', 1)[1]})"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    return str(field.get("type", "string"))


def _values(field: dict[str, Any]) -> str:
    """Return the values that a field takes, where there are few."""
    values = [value for value in field.get("enum", ()) if value != ""]
    few = 8
    return f"One of {', '.join(f'`{value}`' for value in values)}." if 0 < len(values) <= few else ""
