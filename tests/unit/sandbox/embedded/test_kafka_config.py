from pathlib import Path

from aftersend.sandbox.embedded.kafka_config import Credentials, node_properties, password_properties, render


def test_the_broker_listens_on_the_loopback_address_only() -> None:
    settings = node_properties(Path("data"), 9092, 9093)

    for name in ("listeners", "advertised.listeners"):
        for listener in settings[name].split(","):
            assert listener.split("://")[1].startswith("127.0.0.1:")


def test_topics_are_not_created_automatically() -> None:
    assert "false" == node_properties(Path("data"), 9092, 9093)["auto.create.topics.enable"]


def test_values_are_escaped_as_java_reads_them() -> None:
    assert "a=1\nb=c\\\\d\\ne\n" == render({"a": "1", "b": "c\\d\ne"})


def test_clients_need_the_password_and_the_broker_itself_is_on_the_loopback_address() -> None:
    settings = password_properties(9092, 9094, 9093, Credentials("me", "secret"))

    assert "CLIENT://127.0.0.1:9092,INTERNAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093" == settings["listeners"]
    assert settings["listener.name.client.plain.sasl.jaas.config"].endswith(' required user_me="secret";')
