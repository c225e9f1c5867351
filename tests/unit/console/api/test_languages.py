"""Labels of answers: names in the client's language, beside keys that do not change."""

import json
from typing import Any

import jsonschema
import pytest

from tests.unit.console.factories import KNOWN, OPERATOR, VIEWER, Memory, api, ask

ROW = f"/api/v1/deliveries/sale/recipients/{KNOWN}"
TARGETS = ("/api/v1/deliveries", "/api/v1/deliveries/sale", ROW, f"/api/v1/recipients/{KNOWN}", f"{ROW}/explanation")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("token", [OPERATOR, VIEWER])
async def test_an_answer_is_the_same_in_every_language_but_for_its_labels(target: str, token: str) -> None:
    plain = (await ask(api(Memory()), target, token=token)).body
    assert "labels" not in plain

    for language in ("en", "es", "de", "fr", "ru"):
        answer = await ask(api(Memory()), target, token=token, headers={"accept-language": language})
        labels = answer.body["labels"]

        assert language == labels["language"] == answer.headers["content-language"]
        assert plain == {name: value for name, value in answer.body.items() if name != "labels"}


@pytest.mark.parametrize(
    "query, header, name",
    [
        ("", "es-MX,es;q=0.9", "rebote duro"),
        ("?language=ru", "es", "жесткий возврат"),
        ("?language=fr", "", "hard bounce"),
        ("", "ja", "hard bounce"),
    ],
)
async def test_the_parameter_decides_before_the_header(query: str, header: str, name: str) -> None:
    answer = await ask(api(Memory()), ROW + query, headers={"accept-language": header} if header else {})

    assert {"hard_bounce": name} == answer.body["labels"]["names"]["status"]


@pytest.mark.parametrize("language", ["", "xx", "EN", "es-MX"])
async def test_a_language_without_names_is_an_error(language: str) -> None:
    answer = await ask(api(Memory()), f"{ROW}?language={language}")

    assert (400, "invalid_parameter") == (answer.status, answer.code)


async def test_kpis_and_rates_have_labels() -> None:
    names = (await ask(api(Memory()), "/api/v1/deliveries/sale?language=de")).body["labels"]["names"]

    assert "eindeutige Öffnungen" == names["kpi"]["unique_opens"]
    assert "Öffnungsrate" == names["rate"]["open_rate"]


async def test_a_suppression_check_has_labels_of_its_reasons() -> None:
    body = json.dumps({"addresses": [KNOWN, "somebody@example.com"]}).encode()
    sent: dict[str, Any] = {"method": "POST", "body": body}
    headers = {"content-type": "application/json"}
    answer = await ask(api(Memory()), "/api/v1/suppression/check?language=es", headers=headers, **sent)

    assert [False, True] == [result["may_be_mailed"] for result in answer.body["results"]]
    names = answer.body["labels"]["names"]
    assert {"bounced": "rebotada"} == names["suppression_reason"]
    assert {"previously_bounced": "rebotes anteriores"} == names["not_sent_reason"]


async def test_labels_are_in_the_openapi_document() -> None:
    document = (await ask(api(Memory()), "/api/v1/openapi.json")).body
    labels = (await ask(api(Memory()), f"{ROW}?language=es")).body["labels"]

    assert ["en", "es", "de", "fr", "ru"] == next(
        parameter["schema"]["enum"]
        for parameter in document["paths"]["/deliveries/{delivery_id}"]["get"]["parameters"]
        if parameter["name"] == "language"
    )
    jsonschema.validate(labels, document["components"]["schemas"]["Labels"] | {"components": document["components"]})
