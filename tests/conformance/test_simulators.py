"""What a simulator writes is read by its source's parser, and what it signs is accepted by its source's verifier."""

import asyncio
import time
from pathlib import Path

import pytest

from aftersend.sandbox.simulation.deliveries import delivery
from aftersend.sandbox.simulation.journeys import JOURNEYS
from aftersend.sandbox.simulation.people import person
from aftersend.sandbox.simulation.signing import make_keys, signer
from aftersend.sandbox.simulation.simulators import SIMULATED, simulator, webhook_simulators
from aftersend.schemas.event import NOT_SENT_REASONS
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.registry import REGISTRY
from aftersend.sources.simulation.message import Message
from aftersend.sources.simulation.replies import REFUSALS
from aftersend.sources.simulation.simulator import Request
from aftersend.sources.webhook import SignatureError, WebhookOptions, WebhookRequest

AT = 1757069812.0
STEPS = sorted({step.name for journey in JOURNEYS for step in journey.steps})
WEBHOOKS = webhook_simulators()


def message(number: int) -> Message:
    return Message(
        ident=f"{number + 7:032x}",
        delivery=delivery(number),
        person=person(number, 1),
        injected_at=AT,
        refusal=REFUSALS[number % len(REFUSALS)],
        left_out=NOT_SENT_REASONS[number % len(NOT_SENT_REASONS)],
    )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", SIMULATED)
def test_what_is_written_is_read(name: str, step: str) -> None:
    parse = REGISTRY[name].parser(SourceOptions())
    for number in range(60):
        of = message(number)
        raw = simulator(name).write(of, step, 1, AT + 60)
        for event in parse(raw) if raw is not None else ():
            assert "unknown" != event.type
            assert (of.delivery.id, "brand", of.delivery.message_type) == (
                event.delivery_id,
                event.tenant,
                event.message_type,
            )
            assert AT - 1 <= event.occurred_at <= AT + 60
            assert event.recipient


@pytest.mark.parametrize("name", SIMULATED)
def test_something_is_written_of_most_steps(name: str) -> None:
    written = {step for step in STEPS if simulator(name).write(message(1), step, 1, AT)}

    assert len(written) >= 9
    assert not simulator(name).tracks or {"open", "click", "unsubscribe"} <= written


@pytest.mark.parametrize("name", SIMULATED)
def test_what_is_broken_can_not_be_read(name: str) -> None:
    parse = REGISTRY[name].parser(SourceOptions())
    for number in range(8):
        with pytest.raises(SourceError):
            list(parse(simulator(name).broken(number, AT)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


def verify(name: str, request: Request, folder: Path) -> None:
    webhook = REGISTRY[name].webhook
    assert webhook is not None

    async def fetch(url: str) -> bytes:
        assert WEBHOOKS[name].certificate_url == url
        return (folder / WEBHOOKS[name].certificate_file).read_bytes()

    secrets = ((folder / "secrets" / name).read_text().strip(),)
    own = frozenset({WEBHOOKS[name].certificate_url})
    options = WebhookOptions(secrets=secrets, tolerance=webhook.tolerance, fetch=fetch, own_certificates=own)
    check = webhook.verifier(options)
    headers = {header.lower(): value for header, value in request.headers.items()}
    assert headers["content-type"].partition(";")[0].lower() in webhook.content_types

    async def run() -> None:
        await check(WebhookRequest(headers, request.body, time.time()))

    asyncio.run(run())


@pytest.mark.parametrize("name", WEBHOOKS)
def test_what_is_signed_is_accepted(name: str, keys: Path) -> None:
    event = simulator(name).write(message(1), "delivery", 1, AT)
    assert event is not None
    request = signer(name, keys)([event])

    verify(name, request, keys)
    assert ["delivered"] == [one.type for one in REGISTRY[name].parser(SourceOptions())(request.body)]


@pytest.mark.parametrize("name", WEBHOOKS)
def test_what_another_key_signs_is_refused(name: str, keys: Path, tmp_path: Path) -> None:
    make_keys(tmp_path)
    event = simulator(name).write(message(1), "delivery", 1, AT)
    assert event is not None

    with pytest.raises(SignatureError):
        verify(name, signer(name, tmp_path)([event]), keys)
