"""What a simulated provider sends is read by its source, and its signatures hold."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aftersend.errors import UsageError
from aftersend.rules.recipient.kinds import KIND_STATUS, kind_of
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.sandbox.simulation.campaign import Summary, simulate_campaign
from aftersend.sandbox.simulation.signing import make_keys, signer
from aftersend.sandbox.simulation.simulators import webhook_simulators
from aftersend.schemas.event import Feedback
from aftersend.schemas.raw import RawRecord
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.registry import REGISTRY
from aftersend.sources.simulation.replies import REFUSALS
from aftersend.sources.simulation.simulator import Request
from aftersend.sources.webhook import SignatureError, WebhookOptions, WebhookRequest

START = 1757069812.0
RECIPIENTS = 2_000
WEBHOOKS = webhook_simulators()
PROVIDERS = tuple(WEBHOOKS)


def run(provider: str, **changes: Any) -> list[RawRecord]:
    arguments: dict[str, Any] = {"recipients": RECIPIENTS, "deliveries": 3, "seed": 1, "start": START}
    return list(simulate_campaign(**arguments | changes, source=provider))


def parsed(provider: str, records: list[RawRecord]) -> list[Feedback]:
    parse = REGISTRY[provider].parser(SourceOptions())
    events: list[Feedback] = []
    for record in records:
        try:
            events += parse(b"[" + record.value + b"]" if provider == "sendgrid" else record.value)
        except SourceError:
            continue
    return events


@pytest.fixture(scope="module", params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def records(provider: str) -> list[RawRecord]:
    return run(provider)


@pytest.fixture(scope="module")
def events(provider: str, records: list[RawRecord]) -> list[Feedback]:
    return parsed(provider, records)


def test_the_same_for_the_same_seed(provider: str, records: list[RawRecord]) -> None:
    assert records == run(provider)
    assert {provider} == {record.source for record in records}


def test_all_but_the_broken_ones_can_be_read(provider: str, records: list[RawRecord]) -> None:
    summary = Summary()
    list(simulate_campaign(RECIPIENTS, 3, 1, START, source=provider, summary=summary))
    parse = REGISTRY[provider].parser(SourceOptions())
    unreadable = 0
    for record in records:
        try:
            list(parse(record.value))
        except SourceError:
            unreadable += 1

    assert (3, 3, len(records)) == (summary.broken, unreadable, summary.records)
    assert summary.duplicates > 0.02 * len(records)


def test_the_kinds_of_events_that_the_provider_tells_of(provider: str, events: list[Feedback]) -> None:
    kinds = Counter(event.type for event in events)

    assert {
        "delivered",
        "deferred",
        "soft_bounce",
        "hard_bounce",
        "opened",
        "clicked",
        "complained",
        "unsubscribed",
        "resubscribed",
        "not_sent",
    } <= kinds.keys()
    assert "unknown" not in kinds
    assert all(STATUS_NAME[KIND_STATUS[kind_of(event)]] for event in events)
    assert any(event.machine for event in events)
    assert any(event.unsubscribe_link for event in events)
    assert any(event.test for event in events)


def test_what_belongs_to_a_delivery_says_so(provider: str, events: list[Feedback]) -> None:
    names = {f"autumn-sale-{provider}", f"welcome-{provider}", f"order-confirmation-{provider}"}

    assert names | {""} == {event.delivery_id for event in events}
    assert sum(not event.delivery_id for event in events) <= 5
    assert {"brand"} == {event.tenant for event in events}
    assert {"campaign", "automation", "transactional"} <= {event.message_type for event in events}


def test_the_same_event_has_the_same_id_and_others_have_others(
    provider: str, records: list[RawRecord], events: list[Feedback]
) -> None:
    apart = len({record.value for record in records})
    # A message of SES's may be for two recipients, and a record that can't be read has no event.
    assert apart - 3 <= len({event.event_id for event in events}) <= apart + RECIPIENTS // 100


def test_every_refusal_is_read_as_something() -> None:
    """The first recipients show every answer of a host; the classes must not all end as one."""
    for name in PROVIDERS:
        bounces = [event for event in parsed(name, run(name)) if event.type.endswith("bounce")]

        assert len({event.reason for event in bounces}) > 8, name
        assert len({event.diagnostic for event in bounces}) > len(REFUSALS) / 2, name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("keys")
    make_keys(result)
    return result


def accepted(provider: str, request: Request, folder: Path) -> bool:
    """Say whether a source's own check takes a request, given what the gateway reads of the keys."""
    fetched = []

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        assert WEBHOOKS[provider].certificate_url == url
        return (folder / WEBHOOKS[provider].certificate_file).read_bytes()

    async def check() -> bool:
        webhook = REGISTRY[provider].webhook
        assert webhook is not None
        secret = (folder / "secrets" / provider).read_text().strip()
        own = frozenset({WEBHOOKS[provider].certificate_url})
        options = WebhookOptions(secrets=(secret,), tolerance=webhook.tolerance, fetch=fetch, own_certificates=own)
        verify = webhook.verifier(options)
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["content-type"].partition(";")[0].lower() in webhook.content_types
        try:
            await verify(WebhookRequest(headers, request.body, time.time()))
        except SignatureError:
            return False
        return True

    return asyncio.run(check())


def test_signatures_hold(provider: str, records: list[RawRecord], folder: Path) -> None:
    sign = signer(provider, folder)
    values = [record.value for record in records[:40]]
    requests = [sign([value]) for value in values] if WEBHOOKS[provider].batch == 1 else [sign(values)]

    assert all(accepted(provider, request, folder) for request in requests[:4])
    webhook = REGISTRY[provider].webhook
    assert webhook is not None
    if webhook.by_credentials:
        spoilt = requests[0]._replace(headers=requests[0].headers | {"Authorization": "Basic eDp5"})
    else:
        spoilt = requests[0]._replace(body=requests[0].body.replace(b"autumn", b"winter").replace(b"a", b"b", 1))
    assert not accepted(provider, spoilt, folder)
    bodies = [request.body for request in requests]
    parse = REGISTRY[provider].parser(SourceOptions())
    assert parsed(provider, records[:40]) == [event for body in bodies for event in parse(body)]


def test_sns_signs_in_both_versions(records: list[RawRecord], folder: Path) -> None:
    sign = signer("ses", folder)
    envelopes = [json.loads(sign([msgspec.json.encode({"n": 1})]).body) for _ in range(2)]

    assert {"1", "2"} == {envelope["SignatureVersion"] for envelope in envelopes}
    assert 1 == len({envelope["MessageId"] for envelope in envelopes})


def test_keys_that_are_there_are_kept(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    make_keys(folder)

    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.glob("*-private.pem"):
        assert 0o600 == path.stat().st_mode & 0o777


def test_keys_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key")
    for provider, path, words in (
        ("sendgrid", folder / "sns-private.pem", "P-256"),
        ("ses", folder / "sendgrid-private.pem", "RSA"),
        ("ses", tmp_path / "text.pem", "no private key"),
        ("sendgrid", tmp_path / "none.pem", "--make-key"),
    ):
        with pytest.raises(UsageError, match=words):
            signer(provider, path)
