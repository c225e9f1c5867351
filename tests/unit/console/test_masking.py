import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.console.masking import mask_address, mask_ip, mask_url, masked


@pytest.mark.parametrize(
    "address, expected",
    [
        ("jane@example.com", "j***@example.com"),
        ("j@example.com", "j***@example.com"),
        ("a@b@example.com", "a***@example.com"),
        ("@example.com", "***@example.com"),
        ("postmaster", "p***"),
        ("", ""),
    ],
)
def test_an_address_keeps_its_first_letter_and_its_domain(address: str, expected: str) -> None:
    assert expected == mask_address(address)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://brand.example/offer?u=jane", "https://brand.example/***"),
        ("https://jane:secret@brand.example:8443/x", "https://brand.example/***"),
        ("mailto:jane@example.com", "***"),
        ("http://[broken", "***"),
        ("", ""),
    ],
)
def test_a_url_keeps_its_host(url: str, expected: str) -> None:
    assert expected == mask_url(url)


@pytest.mark.parametrize("ip, expected", [("203.0.113.77", "203.0.***"), ("2001:db8::1", "2001:db8:***"), ("", "")])
def test_an_ip_address_keeps_its_network(ip: str, expected: str) -> None:
    assert expected == mask_ip(ip)


#: Names of no field that is masked.
OTHER_NAMES = st.text().map("_{}".format)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(OTHER_NAMES, inner)
    )
)
def test_data_that_is_not_personal_is_unchanged(value: object) -> None:
    assert value == masked(value)
