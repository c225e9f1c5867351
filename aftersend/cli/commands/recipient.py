"""`aftersend recipient`."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from aftersend.cli.context import Json, Language, address_key, command_settings, name_language, wait_for
from aftersend.cli.render.output import console, print_json
from aftersend.cli.render.recipient import address_details
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError
from aftersend.services import masking
from aftersend.services.installation import codec
from aftersend.services.names.labels import with_labels
from aftersend.services.recipients import address_as_json, card_of, find_address

Masked = Annotated[bool, Parameter(negative="", show_default=False)]


def recipient(
    address: str,
    /,
    *,
    delivery: str | None = None,
    language: Language = None,
    as_json: Json = False,
    masked: Masked = False,
) -> int:
    """Show the status, event history and contact record of one recipient.

    For each delivery: status, facts, times, the last failure with the remote server's reply, and the last events with
    their decisions. Then the contact record: whether the address may be mailed, and why not; and a notice for each
    message of a campaign or automation that bounced, was marked as spam, or was not sent, the newest first. Read from
    the compacted topics: one partition from its beginning, some hundred thousand rows a second.

    For example:

        aftersend recipient jane@example.com
        aftersend recipient jane@example.com --delivery spring-sale --json | jq .deliveries[0].status

    Exit codes: 0 done, 1 nothing is stored about the address, 3 invalid settings, 4 Kafka does not answer.

    Args:
        address: Address in any spelling; it is normalised.
        delivery: Show this delivery only.
        language: Language of names, such as those of statuses: by default that of LC_ALL, LC_MESSAGES or LANG, else
            English.
        as_json: One JSON object.
        masked: One JSON object as a viewer of the API sees it: no text but ours.
    """
    settings, names = command_settings(), name_language(language)
    key, now = address_key(address), time.time()
    found = wait_for(find_address(settings, key, delivery))
    if as_json or masked:
        record = address_as_json(key, found, delivery, codec(settings), now)
        print_json(with_labels(masking.masked(record) if masked else record, names.of_labels))
    elif not found.rows and found.contact is None:
        raise AftersendError(f"nothing is stored about {key}")
    else:
        card = card_of(found, delivery)
        console().print(address_details(key, found, card, codec(settings), now, names.language))
    return EXIT_OK if found.rows or found.contact else EXIT_FAILED
