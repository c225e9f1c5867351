"""Label columns of logs."""

import io
import json

import pytest

from aftersend.locale.languages import LanguageCode
from aftersend.rules.views import VIEWS
from aftersend.services.log_export.labels import labelled
from aftersend.services.log_export.lines import csv_writer, json_writer

LINE = {"address": "r@example.org", "status": "Failed", "reason": "Mailbox full", "reason_type": "", "opens": 0}


def as_csv(language: LanguageCode | None) -> str:
    out = io.StringIO()
    labelled(lambda columns: csv_writer(columns, out), VIEWS["efs"], language)(tuple(LINE))(LINE)
    return out.getvalue()


def test_labels_come_after_the_columns_which_stay_as_they_are() -> None:
    assert [
        "address,status,reason,reason_type,opens,status_label,reason_label,reason_type_label",
        "r@example.org,Failed,Mailbox full,,0,Error,Buzón lleno,",
    ] == as_csv("es").splitlines()


def test_without_a_language_a_log_has_no_labels() -> None:
    assert ["address,status,reason,reason_type,opens", "r@example.org,Failed,Mailbox full,,0"] == as_csv(
        None
    ).splitlines()


@pytest.mark.parametrize("response, label", [("Rejected", "Отклонено"), ("Spam complaint", "Отправлено в спам")])
def test_json_has_labels_beside_its_fields(response: str, label: str) -> None:
    out = io.StringIO()
    line = {"address": "r@example.org", "response": response}
    labelled(lambda _: json_writer(out), VIEWS["creatio"], "ru")(tuple(line))(line)

    assert line | {"response_label": label} == json.loads(out.getvalue())
