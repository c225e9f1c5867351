"""What metadata say of a message."""

import json
from typing import Any

import msgspec
import pytest

from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.metadata import (
    MAX_LENGTH,
    Labels,
    MetadataReader,
    is_true,
    label,
    labels_of_tags,
    message_type,
)

READER = MetadataReader(SourceOptions())


def read(metadata: dict[str, Any], reader: MetadataReader = READER) -> Labels:
    """Return what both ways say, which must be the same."""
    thoroughly = reader.read(metadata)
    try:
        struct = msgspec.json.decode(json.dumps(metadata), type=reader.struct)
    except msgspec.ValidationError:  # not the usual metadata
        return Labels(*thoroughly)
    assert tuple(thoroughly) == tuple(reader.read(struct))
    return Labels(*thoroughly)


@pytest.mark.parametrize(
    "metadata,labels",
    [
        ({}, Labels()),
        ({"delivery_id": "c17", "tenant": "b", "message_type": "campaign"}, Labels("c17", "campaign", "b")),
        ({"delivery_id": "c17", "other": [1]}, Labels("c17")),
        ({"campaign": "c1", "campaign_id": "c2"}, Labels("c2")),
        ({"delivery_id": "", "campaign": "c1"}, Labels("c1")),
        ({"delivery_id": 17}, Labels("17")),
        ({"delivery_id": True, "campaign": "c1"}, Labels("c1")),
        ({"delivery_id": 1.5}, Labels()),
        ({"delivery_id": ["c1"]}, Labels()),
        ({"delivery_id": None, "tenant": None, "message_type": None, "test": None}, Labels()),
        ({"delivery_id": "c1", "message_type": "newsletter"}, Labels("c1")),
        ({"delivery_id": "c1", "message_type": "Campaign"}, Labels("c1", "campaign")),
        ({"delivery_id": "c1", "test": True}, Labels("c1", test=True)),
        ({"delivery_id": "c1", "test": False}, Labels("c1")),
        ({"delivery_id": "c\u00a01", "tenant": "b\u2028b"}, Labels("c\u00a01", tenant="b\u2028b")),
    ],
)
def test_labels(metadata: dict[str, Any], labels: Labels) -> None:
    assert labels == read(metadata)


def test_other_keys() -> None:
    options = SourceOptions(delivery_keys=("mailing",), message_type_keys=(), tenant_keys=("a", "b"), test_keys=())
    reader = MetadataReader(options)
    assert Labels("m1", "", "x") == read({"mailing": "m1", "b": "x", "delivery_id": "no", "test": True}, reader)
    assert Labels("m1", "", "y") == read({"mailing": "m1", "b": "x", "a": "y", "": "no"}, reader)


def test_no_keys_at_all() -> None:
    reader = MetadataReader(SourceOptions(delivery_keys=(), message_type_keys=(), tenant_keys=(), test_keys=()))
    assert Labels() == read({"delivery_id": "c1", "": "x"}, reader)


def test_a_key_stands_for_one_thing() -> None:
    with pytest.raises(ValueError, match="two things: campaign"):
        MetadataReader(SourceOptions(tenant_keys=("campaign",)))


@pytest.mark.parametrize("value", ["a\tb", "\x00", "a\n", "\x7f"])
@pytest.mark.parametrize("key", ["delivery_id", "tenant"])
def test_a_control_character_is_refused(key: str, value: str) -> None:
    """Leaving it out could make one delivery of two."""
    with pytest.raises(SourceError, match="has the control character"):
        read({"delivery_id": "c1"} | {key: value})


def test_what_is_too_long_for_a_key_is_refused() -> None:
    with pytest.raises(SourceError, match="delivery id is 513 characters long"):
        read({"delivery_id": "x" * (MAX_LENGTH + 1)})
    assert "x" * MAX_LENGTH == read({"delivery_id": "x" * MAX_LENGTH}).delivery_id


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", " TRUE "])
def test_true(value: object) -> None:
    assert is_true(value)


@pytest.mark.parametrize("value", [False, 0, 2, "", "0", "false", "yes", None, [], {}, 1.0])
def test_not_true(value: object) -> None:
    assert not is_true(value)


def test_label_of_nothing() -> None:
    nothings: tuple[object, ...] = (None, 1.5, [], False)
    assert ["", "", "", ""] == [label("x", value) for value in nothings]
    assert "" == message_type(7)


@pytest.mark.parametrize(
    "tags,labels",
    [
        ([], Labels()),
        (["news", ""], Labels()),
        (["delivery_id:c17"], Labels("c17")),
        ([" campaign = c=3 ", "tenant=b"], Labels("c=3", tenant="b")),
        (["campaign:c1", "delivery_id:c2", "campaign:c3", "test:true"], Labels("c2", test=True)),
        (["delivery_id:a=b"], Labels("a=b")),
    ],
)
def test_labels_of_tags(tags: list[str], labels: Labels) -> None:
    assert labels == labels_of_tags(READER, tags)
