"""Headings of columns with addresses, in any case and spelling."""

import pytest

from aftersend.services.audience.headings import ADDRESS, EMAIL, NAMED_EMAIL, NO_HEADING, heading_key, heading_rank

HEADINGS = [
    *((heading, EMAIL) for heading in ("email", "E-MAIL", " e mail ", "E-Mail_Address", "e-mail address", "Mail")),
    *((heading, EMAIL) for heading in ("correo", "Correo electrónico", "CORREO ELECTRONICO", "\ufeffcorreo")),
    *((heading, EMAIL) for heading in ("E-Mail-Adresse", "Mailadresse", "courriel", "Adresse électronique", "Mél")),
    *((heading, EMAIL) for heading in ("почта", "Эл. почта", "ЭЛЕКТРОННАЯ ПОЧТА", "Адрес эл. почты", "e-mail адрес")),
    *((heading, ADDRESS) for heading in ("recipient", "Address", "Adresse", "адрес", "dirección", "destinatario")),
    *((heading, NAMED_EMAIL) for heading in ("Work e-mail", "Correo del cliente", "Email 2", "Рабочая почта")),
    *((heading, NO_HEADING) for heading in ("name", "Straße", "city", "", "имя", "mail@example.org")),
]


@pytest.mark.parametrize("heading, rank", HEADINGS)
def test_a_heading_has_a_rank(heading: str, rank: int) -> None:
    assert rank == heading_rank(heading)


def test_a_key_has_letters_and_digits_only_and_is_bounded() -> None:
    assert "emailadresse2" == heading_key(" E-Mail_Adresse (2)")
    assert 200 == len(heading_key("x" * 100_000))
