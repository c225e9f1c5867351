from pathlib import Path

from aftersend.sandbox.embedded.kafka_config import node_properties, render


def test_the_broker_listens_on_the_loopback_address_only() -> None:
    settings = node_properties(Path("data"), 9092, 9093)

    for name in ("listeners", "advertised.listeners"):
        for listener in settings[name].split(","):
            assert listener.split("://")[1].startswith("127.0.0.1:")


def test_topics_are_not_created_automatically() -> None:
    assert "false" == node_properties(Path("data"), 9092, 9093)["auto.create.topics.enable"]


def test_values_are_escaped_as_java_reads_them() -> None:
    assert "a=1\nb=c\\\\d\\ne\n" == render({"a": "1", "b": "c\\d\ne"})
