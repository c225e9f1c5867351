from __future__ import annotations

import pytest

from aftersend.locale.catalogue import keys_of, name_of

RESPONSES = ("Delivered", "Invalid email address", "Canceled (duplicated email)")


def test_the_same_key_has_another_name_in_another_context() -> None:
    assert "Envoyés" == name_of("fr", "adobe status", "Sent")
    assert "Envoyé" == name_of("fr", "escala status", "Sent")


def test_a_key_without_a_name_is_shown_in_words() -> None:
    assert "brand new status" == name_of("ru", "status", "brand_new_status")


@pytest.mark.parametrize(
    "given",
    [
        "Invalid email address",
        "INVALID email_address",
        "Некорректный адресат",
        "некорректный  АДРЕСАТ",
        "Adresse email invalide",
    ],
)
def test_a_key_is_found_by_its_name_in_any_language_and_any_case(given: str) -> None:
    assert ["Invalid email address"] == keys_of("creatio response", RESPONSES, given)


def test_either_apostrophe_will_do() -> None:
    assert ["Delivery error"] == keys_of("creatio response", ("Delivery error",), "erreur d’envoi")  # noqa: RUF001 - this one


def test_a_name_of_nothing_finds_nothing() -> None:
    assert [] == keys_of("creatio response", RESPONSES, "Delivered maybe")
