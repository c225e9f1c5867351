"""Headings of columns with addresses, in the languages and spellings in which spreadsheets and CRMs have them."""

from __future__ import annotations

import unicodedata
from typing import Final

#: Characters of a heading that are looked at.
_MAX_HEADING: Final = 200


def heading_key(heading: str) -> str:
    """Return a heading's letters and digits in one case, without accents: `E-Mail_Adresse ` is `emailadresse`."""
    letters = unicodedata.normalize("NFKD", heading[:_MAX_HEADING].casefold())
    return "".join(character for character in letters if character.isalnum())


#: Headings that mean an email address and nothing else.
_EMAIL: Final = frozenset(
    map(
        heading_key,
        (
            *("email", "e-mail", "mail", "email address", "e-mail address", "mail address", "mailbox", "emails"),
            *("recipient email", "recipient address", "contact email", "email id", "email recipient", "smtp address"),
            *("subscriber email", "customer email", "user email", "primary email", "to email", "primary smtp address"),
            *("correo", "correo electrónico", "dirección de correo", "dirección de correo electrónico", "correo e"),
            *("e-mail adresse", "mailadresse", "e-mail-anschrift", "elektronische adresse", "empfängeradresse"),
            *("courriel", "adresse e-mail", "adresse mail", "adresse électronique", "adresse courriel", "mél"),
            *("adresse de courriel", "adresse de messagerie", "courrier électronique", "adresse du destinataire"),
            *("почта", "эл. почта", "эл почта", "электронная почта", "e-mail адрес", "адрес e-mail", "емейл", "имейл"),
            *("адрес электронной почты", "адрес эл. почты", "адрес почты", "почтовый ящик", "мейл", "имэйл"),
            *("endereço de e-mail", "e-mail endereço", "correio eletrônico", "correio eletrónico", "indirizzo e-mail"),
            *("indirizzo email", "posta elettronica", "indirizzo di posta elettronica", "e-mailadres", "mailadres"),
            *("adres e-mail", "adres email", "e-postadress", "e-post", "epost", "e-mailadresse", "sähköposti"),
            *("e-mailová adresa", "e-posta", "eposta", "e-posta adresi", "електронна пошта", "ел. пошта", "пошта"),
            *("имейл адрес", "メール", "メールアドレス", "邮箱", "电子邮件", "电子邮箱", "邮件地址", "이메일"),
        ),
    )
)
#: Headings that mean an email address, or a person, or a postal address.
_ADDRESS: Final = frozenset(
    map(
        heading_key,
        (
            *("recipient", "recipients", "address", "addresses", "to", "contact", "subscriber", "member", "user"),
            *("dirección", "destinatario", "contacto", "para", "adresse", "anschrift", "empfänger", "an", "kontakt"),
            *("destinataire", "адрес", "адресат", "получатель", "кому", "контакт", "подписчик"),
            *("endereço", "destinatário", "indirizzo", "contatto", "adres", "ontvanger", "odbiorca", "adress"),
            *("mottagare", "modtager", "mottaker", "адреса", "отримувач"),
        ),
    )
)
#: Parts of headings such as "Work e-mail" and "Correo del cliente".
_PARTS: Final = tuple(map(heading_key, ("mail", "correo", "courriel", "почта", "почты", "имейл", "мейл")))

#: Ranks of headings, the surest first.
EMAIL: Final = 0
NAMED_EMAIL: Final = 1
ADDRESS: Final = 2
NO_HEADING: Final = 3


def heading_rank(field: str) -> int:
    """Return how surely a field of the first row is the heading of the column with addresses."""
    if "@" in field:
        return NO_HEADING
    key = heading_key(field)
    if key in _EMAIL:
        return EMAIL
    if key in _ADDRESS:
        return ADDRESS
    return NAMED_EMAIL if any(part in key for part in _PARTS) else NO_HEADING
