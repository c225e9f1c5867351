import msgspec
import pytest

from aftersend.schemas.contact import Contact
from aftersend.services.public_records import DatedState, PublicContact, PublicRow, to_public
from tests.unit.console.factories import CONTACT, STATE


@pytest.mark.parametrize("record, public", [(DatedState, PublicRow), (Contact, PublicContact)])
def test_a_public_type_has_every_field_of_its_record(
    record: type[msgspec.Struct], public: type[msgspec.Struct]
) -> None:
    """And labels, which an answer has and a record has not."""
    assert set(record.__struct_fields__) - {"schema"} == set(public.__struct_fields__) - {"labels"}


@pytest.mark.parametrize("record, public", [(STATE, PublicRow), (CONTACT, PublicContact)])
def test_a_public_record_is_valid_for_its_type(record: msgspec.Struct, public: type[msgspec.Struct]) -> None:
    msgspec.convert(to_public(record), public, strict=True)
