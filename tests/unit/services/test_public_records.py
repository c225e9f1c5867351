"""What is shown of records, and what of them to whom."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState
from aftersend.services.public_records import PublicContact, PublicRow, mask_address, mask_ip, mask_url, masked, shown
from tests.unit.console.factories import CONTACT, STATE


@pytest.mark.parametrize(
    "address, shows",
    [
        ("jane@example.com", "j***@example.com"),
        ("j@example.com", "j***@example.com"),
        ("a@b@example.com", "a***@example.com"),
        ("@example.com", "***@example.com"),
        ("postmaster", "p***"),
        ("", ""),
    ],
)
def test_of_an_address_the_first_letter_and_the_domain(address: str, shows: str) -> None:
    assert shows == mask_address(address)


@pytest.mark.parametrize(
    "url, shows",
    [
        ("https://brand.example/offer?u=jane", "https://brand.example/***"),
        ("https://jane:secret@brand.example:8443/x", "https://brand.example/***"),
        ("mailto:jane@example.com", "***"),
        ("http://[broken", "***"),
        ("", ""),
    ],
)
def test_of_a_link_the_host(url: str, shows: str) -> None:
    assert shows == mask_url(url)


@pytest.mark.parametrize("ip, shows", [("203.0.113.77", "203.0.***"), ("2001:db8::1", "2001:db8:***"), ("", "")])
def test_of_an_ip_the_net(ip: str, shows: str) -> None:
    assert shows == mask_ip(ip)


#: Of no field that is hidden.
OTHER_NAMES = st.text().map("_{}".format)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(OTHER_NAMES, inner)
    )
)
def test_what_is_not_personal_stays(value: object) -> None:
    assert value == masked(value)


@pytest.mark.parametrize("record, view", [(RecipientState, PublicRow), (Contact, PublicContact)])
def test_a_view_has_every_field_of_its_record(record: type[msgspec.Struct], view: type[msgspec.Struct]) -> None:
    assert set(record.__struct_fields__) - {"schema"} == set(view.__struct_fields__)


@pytest.mark.parametrize("record, view", [(STATE, PublicRow), (CONTACT, PublicContact)])
def test_what_is_shown_is_what_the_view_says(record: msgspec.Struct, view: type[msgspec.Struct]) -> None:
    msgspec.convert(shown(record), view, strict=True)
