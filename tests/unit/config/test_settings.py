import os
from pathlib import Path

import pytest

from aftersend.config.loading import load, misspelt
from aftersend.errors import EXIT_SETTINGS, SettingsError


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder without `.env` and `aftersend.toml`, and remove settings from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AFTERSEND_")]:
        monkeypatch.delenv(name)


def test_everything_has_a_default() -> None:
    assert "feedback.events" == load().topics.events


def test_the_order_of_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller, the environment, `.env`, the file."""
    Path("aftersend.toml").write_text('app_id = "file"\nkafka_bootstrap = "file:1"\ntopic_prefix = "file"\n')
    Path(".env").write_text("AFTERSEND_KAFKA_BOOTSTRAP=dot:1\nAFTERSEND_TOPIC_PREFIX=dot\nAFTERSEND_REDIS_PREFIX=dot\n")
    monkeypatch.setenv("AFTERSEND_TOPIC_PREFIX", "environment")
    monkeypatch.setenv("AFTERSEND_REDIS_PREFIX", "environment")

    settings = load(redis_prefix="caller", partitions=None)

    assert ("file", "dot:1", "environment", "caller") == (
        settings.app_id,
        settings.kafka_bootstrap,
        settings.topic_prefix,
        settings.redis_prefix,
    )


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("PARTITIONS", "many", "valid integer"),
        ("PARTITIONS", "0", "greater than or equal to 1"),
        ("WEB_PORT", "65536", "less than or equal to 65535"),
        ("APP_ID", "a b", "match pattern"),
        ("REDIS_URL", "http://redis", "must start with redis://"),
        ("RAW_TOPICS", "nonsense", "Expecting value"),
        ("RAW_TOPICS", '{"kumomta": 3}', "valid string"),
        ("DELIVERY_KEYS", '["a"', "delimiter"),
        ("ALERT_THRESHOLDS", '{"*": {"complaints": 2}}', "less than or equal to 1"),
        ("ALERT_THRESHOLDS", '{"*": {"bounces": 0.1}}', "'hard_bounces', 'unsubscribes' or 'complaints'"),
        ("ALERT_THRESHOLDS", '{"*": {"complaints": {"least": 1}}}', "Extra inputs"),
        ("ALERT_THRESHOLDS", '{"*": 0.1}', "valid dictionary"),
        ("KAFKA_BOOTSTRAP", "a:1,,b:1", "separated by commas"),
        ("KAFKA_CA_FILE", "/does/not/exist", "No such file"),
        ("STORE", "disk", "'memory' or 'rocksdb'"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "kafka_username must be set"),
        ("HEARTBEAT_INTERVAL", "20", "heartbeat_interval must be less than half of session_timeout"),
        ("RETENTION_DAYS", "5", "retention_days must not be less"),
        ("SESSION_TIMEOUT", "60", "request_timeout must not be less"),
    ],
)
def test_an_error_names_the_setting_and_the_reason(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AFTERSEND_{name}", value)

    with pytest.raises(SettingsError) as caught:
        load()

    message = str(caught.value)
    assert words in message
    assert name.lower() in message
    assert EXIT_SETTINGS == caught.value.exit_code
    assert "\n" not in message


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSEND_PARTITIONS", "x")
    monkeypatch.setenv("AFTERSEND_WEB_PORT", "y")

    with pytest.raises(SettingsError, match=r"AFTERSEND_PARTITIONS.*AFTERSEND_WEB_PORT"):
        load()


def test_an_error_does_not_contain_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSEND_REDIS_URL", "http://:hush@redis")

    with pytest.raises(SettingsError) as caught:
        load()

    assert "hush" not in str(caught.value)


def test_printed_settings_do_not_contain_a_password() -> None:
    assert "hush" not in repr(load(kafka_password="hush"))


@pytest.mark.parametrize("given, expected", [("a, b", ("a", "b")), ('["a","b"]', ("a", "b")), ("a", ("a",))])
def test_a_list_is_separated_by_commas_or_json(
    given: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERSEND_DELIVERY_KEYS", given)

    assert expected == load().delivery_keys


def test_lists_and_maps_are_read_from_a_file() -> None:
    Path("aftersend.toml").write_text('test_keys = ["proof"]\n[raw_topics]\nkumomta = "mta-log"\n')

    settings = load()

    assert ("proof",) == settings.test_keys
    assert "mta-log" == settings.topics.raw("kumomta")


def test_other_variables_in_the_env_file_are_ignored() -> None:
    Path(".env").write_text("DATABASE_URL=postgres://x\nAFTERSEND_APP_ID=ours\n")

    assert "ours" == load().app_id


def test_a_misspelt_setting_in_the_env_file_is_an_error() -> None:
    Path(".env").write_text("AFTERSEND_KAFKA_BOOTSRAP=kafka:9092\n")

    with pytest.raises(SettingsError, match="no setting 'kafka_bootsrap'; did you mean 'kafka_bootstrap'"):
        load()


def test_a_misspelt_setting_in_the_file_is_an_error() -> None:
    Path("aftersend.toml").write_text("partition = 3\n")

    with pytest.raises(SettingsError, match="no setting 'partition'; did you mean 'partitions'"):
        load()


def test_an_invalid_toml_file_is_an_error() -> None:
    Path("aftersend.toml").write_text("partitions = ")

    with pytest.raises(SettingsError, match=r"aftersend\.toml can't be read"):
        load()


def test_a_misspelt_variable_has_a_hint() -> None:
    """Variables of an orchestrator have no hint."""
    hints = misspelt(["AFTERSEND_KAFKA_BOOTSRAP", "AFTERSEND_STORE", "AFTERSEND_PORT", "AFTERSEND_CI", "HOME"])

    assert ["AFTERSEND_KAFKA_BOOTSRAP is no setting; did you mean 'kafka_bootstrap' (AFTERSEND_KAFKA_BOOTSTRAP)?"] == (
        hints
    )


def test_a_certificate_file_without_certificates_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("")

    with pytest.raises(SettingsError, match="AFTERSEND_KAFKA_CA_FILE"):
        load(kafka_ca_file=empty)


def test_connection_options_are_those_of_aiokafka() -> None:
    options = load(
        kafka_bootstrap="a:1, b:2",
        kafka_security_protocol="SASL_SSL",
        kafka_username="worker",
        kafka_password="secret",
    ).kafka_options()

    assert ["a:1", "b:2"] == options["bootstrap_servers"]
    assert ("worker", "secret") == (options["sasl_plain_username"], options["sasl_plain_password"])
    assert options["ssl_context"] is not None


def test_a_plain_connection_has_no_security_options() -> None:
    assert not {"ssl_context", "sasl_mechanism"} & load().kafka_options().keys()


@pytest.mark.parametrize(
    "variable", ["AFTERSEND_MailingStatisticUpdatePeriod", "AFTERSEND_MAILINGSTATISTICUPDATEPERIOD"]
)
def test_the_alias_of_creatio_is_accepted(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From every source, which keep their order of precedence whichever name they use."""
    Path("aftersend.toml").write_text("MailingStatisticUpdatePeriod = 7\n")
    assert 7.0 == load().statistics_update_period_days
    Path(".env").write_text(f"{variable}=8\n")
    assert 8.0 == load().statistics_update_period_days
    monkeypatch.setenv(variable, "9")
    assert 9.0 == load().statistics_update_period_days
    assert [] == misspelt([variable])
    monkeypatch.delenv(variable)
    monkeypatch.setenv("AFTERSEND_STATISTICS_UPDATE_PERIOD_DAYS", "10")
    assert 10.0 == load().statistics_update_period_days


def test_a_setting_under_two_names_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSEND_MAILINGSTATISTICUPDATEPERIOD", "9")
    monkeypatch.setenv("AFTERSEND_STATISTICS_UPDATE_PERIOD_DAYS", "10")

    with pytest.raises(SettingsError, match="'statistics_update_period_days' is given under two names"):
        load()


def test_an_invalid_value_under_the_alias_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSEND_MAILINGSTATISTICUPDATEPERIOD", "-1")

    with pytest.raises(SettingsError, match=r"also MailingStatisticUpdatePeriod.*greater than 0"):
        load()
