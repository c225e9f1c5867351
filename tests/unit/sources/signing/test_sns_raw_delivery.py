"""Raw delivery of SNS: no envelope, no signature, a token in the address."""

import pytest

from aftersend.sources.webhook import Accepted, SignatureError
from tests.unit.sources.signing.test_sns import RAW, TOKEN, TOPIC, verify


async def test_raw_delivery_is_refused() -> None:
    with pytest.raises(SignatureError, match="raw delivery"):
        await verify(RAW, target=f"/hooks/ses?token={TOKEN}")


@pytest.mark.parametrize("headers", [{}, {"x-amz-sns-topic-arn": TOPIC}])
async def test_raw_delivery_with_a_token(headers: dict[str, str]) -> None:
    secrets = (TOPIC, "raw:another-of-16-chars", f"raw:{TOKEN}")
    assert Accepted() == await verify(RAW, secrets=secrets, target=f"/ses?a=b&token={TOKEN}", headers=headers)


@pytest.mark.parametrize("target", ["", "/ses", "/ses?token=", "/ses?token=0123456789abcdeg", "/ses?token=%F0%9F"])
async def test_raw_delivery_with_the_wrong_token(target: str) -> None:
    with pytest.raises(SignatureError, match="raw delivery"):
        await verify(RAW, secrets=(TOPIC, f"raw:{TOKEN}"), target=target)


async def test_raw_delivery_from_another_topic() -> None:
    headers = {"x-amz-sns-topic-arn": f"{TOPIC}2"}
    with pytest.raises(SignatureError, match="topic"):
        await verify(RAW, secrets=(TOPIC, f"raw:{TOKEN}"), target=f"/?token={TOKEN}", headers=headers)
