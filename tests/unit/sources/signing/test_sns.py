"""SNS's signatures, and the certificates that they are made with."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding

from aftersend.sources.signing.sns import read_secrets, verifier
from aftersend.sources.signing.sns_certificates import Certificates
from aftersend.sources.signing.sns_topics import TopicOrigin
from aftersend.sources.webhook import Accepted, SignatureError, WebhookOptions, WebhookRequest
from tests.unit.sources.signing.authority import Authority

KEY: Final = rsa.generate_private_key(65537, 2048)
NOW: Final = datetime(2026, 3, 5, 10, 56, 52, 250_000, tzinfo=UTC)
TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:ses-events"
ORIGIN: Final = TopicOrigin("sns.us-east-1.amazonaws.com", frozenset({"sns.amazonaws.com"}))
HOST: Final = "https://sns.us-east-1.amazonaws.com"
CERTIFICATE_URL: Final = f"{HOST}/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem"
CONFIRM: Final = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=23"
TOKEN: Final = "0123456789abcdef"
NOTIFICATION: Final[dict[str, Any]] = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": TOPIC,
    "Subject": "Amazon SES Email Event Notification",
    "Message": '{"eventType": "Send"}\nüñ',
    "Timestamp": "2026-03-05T10:56:52.250Z",
    "SignatureVersion": "1",
    "SigningCertURL": CERTIFICATE_URL,
}
CONFIRMATION: Final = NOTIFICATION | {
    "Type": "SubscriptionConfirmation",
    "Token": "23",
    "SubscribeURL": CONFIRM,
    "Subject": None,
}


AUTHORITY: Final = Authority(NOW)


def certificate(
    key: Any = KEY, days: float = 1.0, *, name: str = "sns.amazonaws.com", alternative: tuple[str, ...] = ()
) -> bytes:
    """Return a certificate that is valid for so many days around now, as SNS serves it: alone."""
    return AUTHORITY.issue(key.public_key(), name, alternative, days).public_bytes(Encoding.PEM)


class Site:
    """Stands for SNS's web site, which must not be asked in a test: counts who asks for what."""

    def __init__(self, answer: bytes | OSError) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        await self.open.wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


def sign(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a message as SNS would sign it, and then change it; `...` takes a field away."""
    signed = {key: value for key, value in message.items() if value is not None}
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{signed[name]}\n" for name in names if name in signed)
    algorithm = hashes.SHA256() if signed["SignatureVersion"] == "2" else hashes.SHA1()  # noqa: S303 - SNS's version 1
    signed["Signature"] = b64encode(KEY.sign(text.encode(), PKCS1v15(), algorithm)).decode()
    return {key: value for key, value in (signed | changes).items() if value is not ...}


async def verify(
    message: object, site: Site | None = None, *, secrets: tuple[str, ...] = (TOPIC,), late: float = 0.0, **request: Any
) -> Accepted:
    fetch = (site or Site(certificate())).fetch
    own = request.pop("own", frozenset())
    options = WebhookOptions(secrets=secrets, tolerance=3600.0, fetch=fetch, own_certificates=own)
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return await verifier(options)(WebhookRequest(request.pop("headers", {}), body, NOW.timestamp() + late, **request))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["Hello", "", None])
async def test_a_genuine_notification(version: str, subject: str | None) -> None:
    assert Accepted() == await verify(sign(NOTIFICATION | {"SignatureVersion": version, "Subject": subject}))


async def test_a_subscription_is_confirmed() -> None:
    assert Accepted(CONFIRM) == await verify(sign(CONFIRMATION))


async def test_the_end_of_a_subscription_is_not_undone() -> None:
    assert Accepted() == await verify(sign(CONFIRMATION | {"Type": "UnsubscribeConfirmation"}))


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "Subject"])
async def test_a_field_that_was_changed(field: str) -> None:
    changes = {field: "2026-03-05T10:56:53.250Z"}
    with pytest.raises(SignatureError, match="the signature is wrong"):
        await verify(sign(NOTIFICATION, **changes))


async def test_a_version_that_was_changed() -> None:
    with pytest.raises(SignatureError, match="the signature is wrong"):
        await verify(sign(NOTIFICATION, SignatureVersion="2"))


async def test_a_notification_is_no_confirmation() -> None:
    changes = {"Type": "SubscriptionConfirmation", "Token": "23", "SubscribeURL": CONFIRM}
    with pytest.raises(SignatureError, match="the signature is wrong"):
        await verify(sign(NOTIFICATION, **changes))


@pytest.mark.parametrize(
    "changes,why",
    [
        ({"Message": ...}, "no Message"),
        ({"Message": {"eventType": "Send"}}, "no message of Amazon SNS"),
        ({"TopicArn": ...}, "no TopicArn"),
        ({"TopicArn": f"{TOPIC}2"}, "topic"),
        ({"Type": "Other"}, "no messages of the type 'Other'"),
        ({"Signature": ...}, "wrong"),
        ({"Signature": "?"}, "no base64"),
        ({"Signature": "YQ=="}, "wrong"),
        ({"SignatureVersion": "3"}, "version"),
        ({"SignatureVersion": ...}, "version"),
        ({"Timestamp": "now"}, "no time"),
    ],
)
async def test_what_is_not_genuine(changes: dict[str, Any], why: str) -> None:
    site = Site(certificate())
    with pytest.raises(SignatureError, match=why):
        await verify(sign(NOTIFICATION, **changes), site)


@pytest.mark.parametrize("topic", ["arn:aws:sns:us-east-1:999999999999:ses-events", ""])
async def test_another_topic_fetches_no_certificate(topic: str) -> None:
    """SNS signs for everybody."""
    site = Site(certificate())
    with pytest.raises(SignatureError, match="not one of those allowed"):
        await verify(sign(NOTIFICATION | {"TopicArn": topic}), site)
    assert [] == site.asked


@pytest.mark.parametrize("late, why", [(-301.0, "301 s from now, more than 300 s"), (3601.0, "3601 s ago")])
async def test_a_message_of_another_time(late: float, why: str) -> None:
    """The past is as long as SNS tries; the future is for clocks that differ."""
    with pytest.raises(SignatureError, match=why):
        await verify(sign(NOTIFICATION), late=late)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"Type":7}', b"[" * 100_000])
async def test_a_body_that_is_no_message(body: bytes) -> None:
    with pytest.raises(SignatureError, match="no message of Amazon SNS"):
        await verify(body)


PEM: Final = "SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem"


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"http://sns.us-east-1.amazonaws.com/{PEM}",
        f"https://evil.example/{PEM}",
        f"https://sns.us-east-1.amazonaws.com.evil.example/{PEM}",
        f"https://sns.us-east-1.amazonaws.com@evil.example/{PEM}",
        f"https://evil.example#sns.us-east-1.amazonaws.com/{PEM}",
        f"https://evil.example\\.sns.us-east-1.amazonaws.com/{PEM}",
        f"https://user@sns.us-east-1.amazonaws.com/{PEM}",
        f"https://sns.us-east-1.amazonaws.com:8443/{PEM}",
        f"https://sns.evil.sns.us-east-1.amazonaws.com/{PEM}",
        f"https://snsxus-east-1.amazonaws.com/{PEM}",
        f"https://s3.us-east-1.amazonaws.com/{PEM}",
        f"https://sns.us-east-1.amazonaws.com/bucket/{PEM}",
        f"https://sns.us-east-1.amazonaws.com/{PEM}/../x",
        f"https://sns.us-east-1.amazonaws.com/{PEM}\n",
        f"https://sns.us-east-1.amazonaws.com\t/{PEM}",
        f"https://sns.us-east-1.amazonaws.com/{PEM}#x",
        f"https://sns.us-east-1.amazonaws.com/{PEM}?",
        f"https://sns.us-east-1.amazonaws.com/{PEM}?versionId=1",
        f"https://sns.us-east-1.amazonaws.com:443/{PEM}",
        f"https://:@sns.us-east-1.amazonaws.com/{PEM}",
        f"HTTPS://sns.us-east-1.amazonaws.com/{PEM}",
        # Not the topic's region: names that others get from Amazon, and the certificates of other partitions.
        f"https://sns.s3.amazonaws.com/{PEM}",
        f"https://sns.simulation.amazonaws.com/{PEM}",
        f"https://sns.us-east-2.amazonaws.com/{PEM}",
        f"https://sns.us-east-1.amazonaws.com.cn/{PEM}",
        "https://sns.us-east-1.amazonaws.com/",
        "https://[sns/",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_fetched(url: str) -> None:
    site = Site(certificate())
    with pytest.raises(SignatureError, match="not an address of Amazon SNS"):
        await verify(sign(NOTIFICATION, SigningCertURL=url), site)
    assert [] == site.asked


@pytest.mark.parametrize(
    "partition, region, host, name",
    [
        ("aws", "eu-central-1", "sns.eu-central-1.amazonaws.com", "sns.amazonaws.com"),
        ("aws", "eu-central-1", "sns.eu-central-1.amazonaws.com", "sns.eu-central-1.amazonaws.com"),
        ("aws", "me-south-1", "sns.me-south-1.amazonaws.com", "sns-signing.me-south-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "sns.us-gov-west-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-east-1", "sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"),
        ("aws-cn", "cn-north-9", "sns.cn-north-9.amazonaws.com.cn", "sns.amazonaws.com.cn"),
        ("aws-eusc", "eusc-de-east-1", "sns.eusc-de-east-1.amazonaws.eu", "sns-signing.eusc-de-east-1.amazonaws.eu"),
        ("aws", "simulation", "sns.simulation.amazonaws.com", "sns.simulation.amazonaws.com"),
    ],
)
async def test_the_certificate_is_that_of_the_topics_region(partition: str, region: str, host: str, name: str) -> None:
    topic = f"arn:{partition}:sns:{region}:123456789012:events"
    message = sign(NOTIFICATION | {"TopicArn": topic, "SigningCertURL": f"https://{host}/{PEM}"})
    assert Accepted() == await verify(message, Site(certificate(name=name)), secrets=(topic, TOPIC))


@pytest.mark.parametrize(
    "made",
    [
        {"name": "sns.evil.example"},
        {"name": "sns.amazonaws.com.evil.example"},
        {"name": "*.amazonaws.com"},
        {"name": "sns.us-east-2.amazonaws.com"},
        {"name": "sns.amazonaws.com", "alternative": ("bucket.s3.amazonaws.com",)},
    ],
)
async def test_a_certificate_for_another_name_is_refused(made: dict[str, Any]) -> None:
    """What SNS's host would serve is not believed for that alone."""
    with pytest.raises(OSError, match=r"the certificate is not that of sns\.us-east-1\.amazonaws\.com"):
        await verify(sign(NOTIFICATION), Site(certificate(**made)))


async def test_the_alternative_name_counts_before_the_common_one() -> None:
    made = certificate(name="Amazon", alternative=("other.example", "SNS.amazonaws.com"))
    assert Accepted() == await verify(sign(NOTIFICATION), Site(made))


async def test_a_certificate_of_its_own_making_is_only_for_addresses_that_are_set() -> None:
    site = Site(Authority(NOW, KEY, "sns.amazonaws.com").certificate.public_bytes(Encoding.PEM))
    with pytest.raises(OSError, match="signed with its own key"):
        await verify(sign(NOTIFICATION), site)
    assert Accepted() == await verify(sign(NOTIFICATION), site, own=frozenset({CERTIFICATE_URL}))


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/?x",
        "https://evil.example/?x",
        f"{HOST}/path?x",
        f"{HOST}/?x#y",
        f"{HOST}:443/?x",
        f"{HOST}/?x y",
        f"{HOST}/",
        "/?x",
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.s3.amazonaws.com/?Action=ConfirmSubscription",
    ],
)
async def test_a_confirmation_elsewhere_is_not_visited(url: str) -> None:
    with pytest.raises(SignatureError, match="not an address of Amazon SNS"):
        await verify(sign(CONFIRMATION | {"SubscribeURL": url}))


@pytest.mark.parametrize("days", [-1.5, 1.5])
async def test_a_certificate_that_is_not_valid_now(days: float) -> None:
    options = WebhookOptions(secrets=(TOPIC,), fetch=Site(certificate()).fetch)
    request = WebhookRequest({}, json.dumps(sign(NOTIFICATION)).encode(), NOW.timestamp() + days * 86400)
    with pytest.raises(SignatureError, match="not valid now"):
        await verifier(options)(request)


async def test_a_certificate_of_another_key() -> None:
    other = rsa.generate_private_key(65537, 2048)
    with pytest.raises(SignatureError, match="the signature is wrong"):
        await verify(sign(NOTIFICATION), Site(certificate(other)))


@pytest.mark.parametrize(
    "answer",
    [
        OSError("no route"),
        b"<html>",
        certificate(ec.generate_private_key(ec.SECP256R1())),
        certificate(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
    ],
    ids=["unreachable", "no certificate", "no RSA", "short"],
)
async def test_a_certificate_that_can_not_be_had(answer: bytes | OSError) -> None:
    """Nobody can say then whether the request is genuine: SNS has to come again."""
    with pytest.raises(OSError, match="can't be fetched"):
        await verify(sign(NOTIFICATION), Site(answer))


async def test_a_certificate_is_fetched_once() -> None:
    site = Site(certificate())
    certificates = Certificates(site.fetch)
    site.open.clear()
    waiting = [asyncio.create_task(certificates.key(CERTIFICATE_URL, ORIGIN, NOW.timestamp())) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # whoever gives up does not spoil it for the others
    await asyncio.sleep(0)
    site.open.set()
    keys = await asyncio.gather(*waiting[1:])
    await certificates.key(CERTIFICATE_URL, ORIGIN, NOW.timestamp())
    assert [CERTIFICATE_URL] == site.asked
    assert {KEY.public_key().public_numbers()} == {key.public_numbers() for key in keys}


async def test_a_failure_is_not_kept_for_long() -> None:
    site = Site(OSError("no route"))
    certificates = Certificates(site.fetch)
    for after in (0.0, 1.0, 9.0):
        with pytest.raises(OSError, match="no route"):
            await certificates.key(CERTIFICATE_URL, ORIGIN, NOW.timestamp() + after)
    assert 1 == len(site.asked)
    site.answer = certificate()
    await certificates.key(CERTIFICATE_URL, ORIGIN, NOW.timestamp() + 11.0)
    assert 2 == len(site.asked)


async def test_not_too_many_at_a_time_and_not_too_many_kept() -> None:
    site = Site(certificate())
    certificates = Certificates(site.fetch)
    urls = [f"{HOST}/SimpleNotificationService-{number}.pem" for number in range(200)]
    site.open.clear()
    waiting = [asyncio.create_task(certificates.key(url, ORIGIN, NOW.timestamp())) for url in urls[:20]]
    await asyncio.sleep(0)
    site.open.set()
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert (8, 12) == (len(site.asked), sum(isinstance(error, OSError) for error in refused))
    for url in urls:
        await certificates.key(url, ORIGIN, NOW.timestamp())
    asked = len(site.asked)
    await certificates.key(urls[-1], ORIGIN, NOW.timestamp())
    assert asked == len(site.asked)
    await certificates.key(urls[0], ORIGIN, NOW.timestamp())
    assert asked + 1 == len(site.asked)


RAW: Final = b'{"eventType": "Send"}'


async def test_a_token_does_not_stand_for_a_signature() -> None:
    message = sign(NOTIFICATION, Message="{}")
    with pytest.raises(SignatureError, match="the signature is wrong"):
        await verify(message, secrets=(TOPIC, f"raw:{TOKEN}"), target=f"/?token={TOKEN}")


@pytest.mark.parametrize(
    "secrets,why",
    [
        ((), "no SNS topic"),
        ((f"raw:{TOKEN}",), "no SNS topic"),
        ((TOPIC, "raw:short"), "entry 2: a token"),
        (("arn:aws:sqs:us-east-1:1:queue",), "entry 1 is neither"),
        ((TOPIC, "*"), "entry 2 is neither"),
        (("arn:aws-of-mine:sns:us-east-1:1:topic",), "entry 1 is neither"),
        (("arn:aws:sns:us-east-1.evil.example/:1:topic",), "entry 1 is neither"),
    ],
)
def test_secrets_that_are_none(secrets: tuple[str, ...], why: str) -> None:
    check: Callable[[], object] = lambda: read_secrets(secrets)  # noqa: E731
    with pytest.raises(ValueError, match=why):
        check()


def test_secrets() -> None:
    topics = {TOPIC, "arn:aws-cn:sns:cn-north-1:1:a", "arn:aws-us-gov:sns:us-gov-west-1:1:b.fifo"}
    assert topics == read_secrets([f" {topic} " for topic in topics]).topics.keys()
