"""The real `aftersend` on real servers, from the first command to the last."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aftersend.config.installation import raw_sources
from aftersend.errors import EXIT_FAILED, EXIT_KAFKA, EXIT_OK, EXIT_USAGE
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.sandbox.simulation.people import person
from tests.system.cli_installation import COMMAND, Done, Installation, end, until

RECIPIENTS = 300
SEED = 4


@pytest.fixture(scope="module")
def installation(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    port = next(port for port in iter(lambda: pick_free(1)[0], 0) if port < 65_000)
    result = Installation(kafka, redis_server, tmp_path_factory.mktemp("cli"), port)
    yield result
    result.redis.close()


@pytest.fixture(scope="module")
def topics(installation: Installation) -> Done:
    return installation.run("topics", "apply", "--json")


@pytest.fixture(scope="module")
def worker(installation: Installation, topics: Done) -> Iterator[subprocess.Popen[bytes]]:
    assert EXIT_OK == topics.code
    process = installation.worker("--processes", "2")
    until(lambda: all(installation.probe("/ready", i)[0] == 200 for i in range(2)))
    yield process
    if process.poll() is None:
        end(process)


def settled(installation: Installation) -> bool:
    """Return whether there is no lag, and Redis is up to date."""
    bodies = [installation.probe("/live", i)[1] for i in range(2)]
    lags = [p["lag"] for body in bodies for p in body.get("partitions", {}).values()]
    sinces = [p["seconds_since_commit"] for body in bodies for name, p in body["partitions"].items() if "kumo" in name]
    return bool(lags) and not any(lags) and min(sinces) > 2.0


@pytest.fixture(scope="module")
def campaign(installation: Installation, worker: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Write a campaign and wait until it is folded."""
    assert worker.poll() is None
    done = installation.run("simulate", "--recipients", str(RECIPIENTS), "--seed", str(SEED), "--json")
    assert EXIT_OK == done.code, done.err
    until(lambda: settled(installation))
    result: dict[str, Any] = done.json
    return result


def test_a_worker_without_topics_ends_with_an_error(installation: Installation) -> None:
    done = installation.run("worker", AFTERSEND_TOPIC_PREFIX="nothing-here", AFTERSEND_WEB_PORT="0")

    assert EXIT_KAFKA == done.code
    assert "run `aftersend topics apply` first" in done.err
    assert "Traceback" not in done.err


def test_a_supervisor_passes_the_exit_code_on(installation: Installation) -> None:
    done = installation.run("worker", "--processes", "2", AFTERSEND_TOPIC_PREFIX="nothing-here", AFTERSEND_WEB_PORT="0")

    assert EXIT_KAFKA == done.code


def test_a_worker_without_kafka_ends_with_an_error(installation: Installation) -> None:
    done = installation.run("worker", AFTERSEND_KAFKA_BOOTSTRAP="127.0.0.1:1", AFTERSEND_WEB_PORT="0")

    assert EXIT_KAFKA == done.code
    assert "no Kafka broker at 127.0.0.1:1 (AFTERSEND_KAFKA_BOOTSTRAP)" in done.err


def test_topics_are_applied_and_shown(installation: Installation, topics: Done) -> None:
    again = installation.run("topics", "apply", "--json")
    shown = installation.run("topics", "show", "--json")

    assert {"created"} == {one["result"] for one in topics.json.values()}
    assert {"unchanged"} == {one["result"] for one in again.json.values()}
    assert EXIT_OK == shown.code
    assert [] == shown.json["problems"]
    assert topics.json.keys() == shown.json["topics"].keys()


def test_missing_topics_are_shown(installation: Installation) -> None:
    shown = installation.run("topics", "show", AFTERSEND_TOPIC_PREFIX="nothing-here")

    assert EXIT_FAILED == shown.code
    assert "topic nothing-here.events is missing" in shown.out


def listed(installation: Installation, *arguments: str) -> dict[str, Any]:
    """Return the KPIs of all deliveries."""
    lines = installation.run("kpi", "--json", *arguments).out.splitlines()
    return {one["delivery_id"]: one for one in map(json.loads, lines)}


def test_kpis_are_the_same_in_redis_and_kafka(installation: Installation, campaign: dict[str, Any]) -> None:
    live = listed(installation)
    truth = listed(installation, "--from", "kafka")
    events = {delivery: one.pop("events") for delivery, one in truth.items()}

    assert live == truth
    assert {*campaign["deliveries"], "", "summer-sale"} == live.keys()
    assert {"kumomta", "tracking"} == events["autumn-sale"].keys()
    for delivery in campaign["deliveries"]:
        one = live[delivery]
        assert one["kpis"]["audience"] > RECIPIENTS / 5
        assert one["kpis"]["audience"] == sum(one["statuses"].values())
        assert one["rates"]["open_rate"]["denominator"] == one["kpis"]["delivered"]


def test_one_delivery_is_the_same_in_redis_and_kafka(installation: Installation, campaign: dict[str, Any]) -> None:
    live = installation.run("kpi", "autumn-sale", "--json").json
    truth = installation.run("kpi", "autumn-sale", "--from", "kafka", "--json").json

    assert live == {name: value for name, value in truth.items() if name != "events"}


def test_one_delivery_is_shown_in_views(installation: Installation, campaign: dict[str, Any]) -> None:
    """Each view has the same recipients, and equals the KPIs where both define the same number."""
    truth = installation.run("kpi", "autumn-sale", "--from", "kafka", "--json").json["kpis"]
    names = ("without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala")
    views = installation.run("kpi", "autumn-sale", "--json", *(f"--view={name}" for name in names)).json["views"]

    assert list(names) == list(views)
    for one in views.values():
        assert truth["audience"] == one["counts"]["audience"] == sum(one["statuses"].values())
    assert {truth["delivered"]} == {views[name]["counts"]["delivered"] for name in ("efs", "v8", "creatio", "escala")}
    assert truth["unique_clicks"] == views["efs"]["counts"]["clicks"] == views["escala"]["counts"]["interacted"]
    assert truth["total_opens"] == views["creatio"]["totals"]["total_opens"]

    shown = installation.run("kpi", "autumn-sale", "--view", "efs", "--view", "creatio").out
    assert "% bounces + errors" in shown
    assert "Sent to provider" in shown


def test_names_are_in_the_language_of_the_option_or_the_environment(
    installation: Installation, campaign: dict[str, Any]
) -> None:
    command = ("kpi", "autumn-sale", "--view", "efs")

    assert "Mensajes que enviar" in installation.run(*command, "--language", "es", LC_ALL="ru_RU.UTF-8").out
    assert "Zu sendende Nachrichten" in installation.run(*command, LC_ALL="", LANG="de_DE.UTF-8").out
    english, french = (
        installation.run(*command, "--json").json,
        installation.run(*command, "--json", LC_ALL="fr_FR").json,
    )
    labels = french["views"]["efs"].pop("labels")
    assert english == french
    assert "Messages à envoyer" == labels["counts"]["to_send"]


def test_a_view_is_of_one_delivery(installation: Installation, campaign: dict[str, Any]) -> None:
    assert EXIT_USAGE == installation.run("kpi", "--view", "efs").code
    assert EXIT_FAILED == installation.run("kpi", "nobody-knows", "--view", "efs").code


def test_a_delivery_is_shown_in_its_declared_view(installation: Installation, campaign: dict[str, Any]) -> None:
    command = ("kpi", "autumn-sale", "--view", "declared", "--json")
    before = installation.run(*command)
    assert (EXIT_USAGE, True) == (before.code, "deliveries set autumn-sale --policy" in before.err)

    assert EXIT_OK == installation.run("deliveries", "set", "autumn-sale", "--policy", "v8").code

    until(lambda: installation.run(*command).code == EXIT_OK)
    assert ["v8"] == list(installation.run(*command).json["views"])


def test_kpis_are_printed_as_tables(installation: Installation, campaign: dict[str, Any]) -> None:
    shown = installation.run("kpi", campaign["deliveries"][0]).out

    assert "unique opens" in shown
    assert "open rate" in shown
    assert "%" in shown


def test_an_unknown_delivery_is_an_error(installation: Installation, campaign: dict[str, Any]) -> None:
    done = installation.run("kpi", "nobody-knows")

    assert EXIT_FAILED == done.code
    assert done.err.startswith("error: Redis has no delivery 'nobody-knows'")
    assert 1 == len(done.err.splitlines())


def test_a_recipient_has_history_and_contact(installation: Installation, campaign: dict[str, Any]) -> None:
    address = person(0, SEED).address
    done = installation.run("recipient", address.upper(), "--json")

    assert EXIT_OK == done.code
    assert address == done.json["recipient"]
    rows = done.json["deliveries"]
    assert {row["delivery_id"] for row in rows} <= set(campaign["deliveries"])
    for row in rows:
        assert row["history"]
        assert row["updated_at"].endswith("Z")
        assert {"arrived_at", "kind", "decision", "repeats", "source", "partition", "offset"} == row["history"][
            0
        ].keys()
    one = installation.run("recipient", address, "--delivery", rows[0]["delivery_id"], "--json")
    assert [rows[0]] == one.json["deliveries"]
    people = installation.run("recipient", address).out
    assert rows[0]["delivery_id"] in people
    assert "contact" in people


def test_an_unknown_recipient_is_an_error(installation: Installation, campaign: dict[str, Any]) -> None:
    done = installation.run("recipient", "nobody@nowhere.example", "--json")

    assert EXIT_FAILED == done.code
    assert {"recipient": "nobody@nowhere.example", "deliveries": [], "contact": None, "card": []} == done.json


#: Commands that read what the installation has.
READING = (
    ("kpi",),
    ("kpi", "nothing"),
    ("kpi", "nothing", "--from", "kafka"),
    ("kpi", "nothing", "--view", "efs"),
    ("log", "nothing"),
    ("log", "nothing", "--kind", "totals"),
    ("recipient", "nobody@nowhere.example"),
    ("explain", "nothing", "nobody@nowhere.example"),
    ("deliveries", "list"),
    ("deliveries", "show", "nothing"),
    ("quarantine", "list"),
    ("dead-letters", "list"),
    ("dead-letters", "show", "0:1000000"),
    ("suppression", "check", "-"),
    ("compute-stats",),
    ("topics", "show"),
)


@pytest.mark.parametrize(
    "command", [words for words in READING if words[0] in {"kpi", "log", "suppression"}], ids=" ".join
)
def test_a_command_that_can_not_read_prints_no_heading(installation: Installation, command: tuple[str, ...]) -> None:
    nowhere = {"AFTERSEND_KAFKA_BOOTSTRAP": "127.0.0.1:1", "AFTERSEND_REDIS_URL": "redis://127.0.0.1:1"}
    done = installation.run(*command, stdin="nobody@nowhere.example\n", AFTERSEND_REQUEST_TIMEOUT="1", **nowhere)

    assert (True, "") == (done.code != EXIT_OK, done.out)
    assert done.err


@pytest.mark.parametrize(
    "command",
    [words for words in READING if "nothing" in words or words[-1] in {"nobody@nowhere.example", "0:1000000"}],
)
def test_a_command_that_finds_nothing_prints_no_heading(
    installation: Installation, campaign: dict[str, Any], command: tuple[str, ...]
) -> None:
    done = installation.run(*command)

    assert (EXIT_FAILED, "") == (done.code, done.out)
    assert done.err


def test_recomputing_finds_no_drift(installation: Installation, campaign: dict[str, Any]) -> None:
    done = installation.run("compute-stats", "--json")

    assert EXIT_OK == done.code, done.out
    assert done.json["ok"]
    assert done.json["rows"] > RECIPIENTS
    assert 5 == done.json["deliveries"]
    assert "no drift" in installation.run("compute-stats", "--no-redis").out


def test_recomputing_finds_a_changed_number(installation: Installation, campaign: dict[str, Any]) -> None:
    key = f"{installation.prefix}:kpi:autumn-sale"
    installation.redis.hincrby(key, "delivered", 3)
    try:
        done = installation.run("compute-stats", "autumn-sale", "--json")
    finally:
        installation.redis.hincrby(key, "delivered", -3)

    assert EXIT_FAILED == done.code
    (drift,) = done.json["drift"]
    assert ("delivered", 3) == (drift["name"], drift["found"] - drift["expected"])


def test_kpis_are_followed_during_a_campaign_in_real_time(installation: Installation, campaign: dict[str, Any]) -> None:
    watching, in_view = (
        subprocess.Popen(
            [*COMMAND, "kpi", "autumn-sale", "--watch", "--json", *more],
            env=installation.environment,
            cwd=installation.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        for more in ((), ("--view", "efs"))
    )
    with watching, in_view:
        assert watching.stdout is not None
        assert in_view.stdout is not None
        before = json.loads(watching.stdout.readline())
        sent_before = json.loads(in_view.stdout.readline())["views"]["efs"]["counts"]["sent"]
        started = time.monotonic()
        done = installation.run("simulate", "--recipients", "60", "--rate", "60", "--seed", "5", "--json")
        seconds = time.monotonic() - started
        after = json.loads(watching.stdout.readline())
        sent = (json.loads(line)["views"]["efs"]["counts"]["sent"] for line in in_view.stdout)
        assert next(number for number in sent if number > sent_before)
        watching.terminate()
        in_view.terminate()

    assert EXIT_OK == done.code
    assert seconds > done.json["records"] / 60 * 0.9
    assert after["updated_at"] > before["updated_at"]
    until(lambda: settled(installation))
    assert EXIT_OK == installation.run("compute-stats").code


def test_health_includes_every_partition(installation: Installation, campaign: dict[str, Any]) -> None:
    answers = [installation.probe("/live", i) for i in range(2)]

    assert [200, 200] == [status for status, _ in answers]
    names = [name for _, body in answers for name in body["partitions"]]
    assert sorted(names) == sorted(set(names))
    # Two partitions of each source's raw topic and of the events, and the clock's one.
    assert 2 * len(raw_sources()) + 2 + 1 == len(names)


def test_a_killed_process_is_restarted(installation: Installation, campaign: dict[str, Any]) -> None:
    started = [line for line in installation.log().splitlines() if "worker started" in line]
    os.kill(json.loads(started[1])["pid"], signal.SIGKILL)

    until(lambda: installation.log().count("worker started") == 3)
    until(lambda: all(installation.probe("/ready", i)[0] == 200 for i in range(2)))

    assert EXIT_OK == installation.run("compute-stats").code


def test_a_signal_stops_the_worker(
    installation: Installation, worker: subprocess.Popen[bytes], campaign: dict[str, Any]
) -> None:
    """The last test with the worker: it stops in order, children and all."""
    children = [json.loads(line)["pid"] for line in installation.log().splitlines() if "worker started" in line]

    assert EXIT_OK == end(worker)

    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "ended by force" not in installation.log()
    assert "Traceback" not in installation.log()


def test_parse_needs_no_server(installation: Installation) -> None:
    record = {"event": "open", "id": "1", "delivery_id": "d", "recipient": "A@Example.COM", "time": 1757675281}
    lines = json.dumps(record) + "\nbroken\n"

    done = installation.run("parse", "tracking", stdin=lines, AFTERSEND_KAFKA_BOOTSTRAP="127.0.0.1:1")

    assert EXIT_FAILED == done.code
    assert ("a@example.com", "opened") == (done.json["recipient"], done.json["type"])
    assert done.err.startswith("standard input:2: ")


def test_versions_are_printed(installation: Installation) -> None:
    assert {"aftersend", "python", "aiokafka"} <= installation.run("version", "--json").json.keys()


def test_an_unavailable_redis_is_an_error(installation: Installation) -> None:
    done = installation.run("kpi", AFTERSEND_REDIS_URL="redis://:hush@127.0.0.1:1/0")

    assert EXIT_FAILED == done.code
    assert "AFTERSEND_REDIS_URL" in done.err
    assert "hush" not in done.err
