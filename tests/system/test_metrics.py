"""What a real Prometheus sees of real workers and a real gateway."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest

from aftersend.errors import EXIT_OK
from aftersend.publish.prometheus.catalog import METRICS, NONE, OTHER
from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.sandbox.reference.check import CheckReport, check
from tests.paths import ROOT
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import raw_records
from tests.system.gateways import GatewayProcess, Signer
from tests.system.prometheus import EmbeddedPrometheus, program, promtool

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DEPLOYED = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "aftersend.json"
#: Types of records that nobody has heard of.
NOVELTY, NOVELTIES = "Novelty", 60
Scrape = Callable[..., EmbeddedPrometheus]


@pytest.fixture(scope="module", autouse=True)
def _installed(unavailable: Callable[[str], NoReturn]) -> None:
    try:
        program("prometheus")
        program("promtool")
    except EmbeddedUnavailableError as error:
        unavailable(str(error))


@pytest.fixture
def scrape(tmp_path: Path) -> Iterator[Scrape]:
    """Return what starts a Prometheus on some ports, by job."""
    made: list[EmbeddedPrometheus] = []

    def start(**targets: list[int]) -> EmbeddedPrometheus:
        made.append(EmbeddedPrometheus(tmp_path / "prometheus", targets))
        made[-1].start()
        return made[-1]

    yield start
    for server in made:
        server.stop()


def page(port: int, accept: str = "") -> tuple[str, str]:
    """Return the content type and text of a process' metrics."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - http, here
        return answer.headers["content-type"], answer.read().decode()


def load(installation: Installation, recipients: int, seed: int) -> list[Input]:
    start = time.time() - 3600.0
    return list(raw_records(installation.topics, recipients, seed, start, installation.settings.partitions))


def junk(installation: Installation) -> Iterator[Input]:
    """Yield records of a kind that the parser has never heard of, and one that nobody can read."""
    topic, now = installation.topics.raw("kumomta"), int(time.time() * 1000)
    for number in range(NOVELTIES):
        record = {"type": f"{NOVELTY}{number}", "id": f"{number:032x}", "recipient": "x@example.org", "timestamp": 1}
        yield Input(topic, 0, None, json.dumps(record).encode(), now)
    yield Input(topic, 0, None, b"{", now)


def by_decision(prometheus: EmbeddedPrometheus, instance: str = ".+") -> Counter[tuple[str, ...]]:
    """Return the events that were counted by source, type and decision."""
    query = f'sum by (source, type, decision) (aftersend_events_total{{instance=~"{instance}"}})'
    return Counter({key: int(number) for key, number in prometheus.series(query, "source", "type", "decision").items()})


def differing(prometheus: EmbeddedPrometheus, report: CheckReport) -> list[str]:
    """Return the numbers of deliveries that are not what the reference says."""
    found: dict[tuple[str, str], float] = {}
    for kpi in ("delivered", "unique_opens", "unique_clicks", "hard_bounced", "total_opens", "complained"):
        query = f"sum by (delivery) (aftersend_delivery_{kpi})"
        found |= {(delivery, kpi): n for (delivery,), n in prometheus.series(query, "delivery").items()}
    for labels, n in prometheus.series(
        "sum by (delivery, status) (aftersend_delivery_recipients)", "delivery", "status"
    ).items():
        found[labels[0], f"status_{labels[1]}"] = n
    for labels, n in prometheus.series(
        "sum by (delivery, decision) (aftersend_delivery_events)", "delivery", "decision"
    ).items():
        found[labels[0], labels[1]] = n
    names = {name for _, name in found}
    wanted = {
        (delivery or NONE, name): float(kpis[name])
        for delivery, kpis in report.kpis.items()
        for name in names
        if kpis[name]
    }
    return [
        f"{key}: {wanted.get(key)} != {found.get(key)}"
        for key in {*wanted, *found}
        if wanted.get(key) != found.get(key)
    ]


async def test_prometheus_sees_what_the_reference_counts(install: Callable[..., Installation], scrape: Scrape) -> None:
    """Two workers, then one of them again: every event, every delivery, every record."""
    ports = pick_free(2)
    installation = install()
    await installation.apply_topics()
    workers = [installation.add_worker(web_port=port) for port in ports]
    for worker in workers:
        worker.start()
    for worker in workers:
        await worker.await_log("partitions assigned")
    prometheus = scrape(**{"aftersend-worker": ports})
    records = [*load(installation, 400, 1), *junk(installation)]
    await installation.write(records)
    await installation.await_caught_up()
    report = await check(installation.settings)

    await prometheus.until(lambda: by_decision(prometheus), report.decisions)
    await prometheus.until(lambda: differing(prometheus, report), [])
    events = installation.topics.events
    raw = "|".join(installation.raw_topics)
    assert len(records) == prometheus.value(f'sum(aftersend_records_total{{topic=~"{raw}"}})')
    assert 0 == prometheus.value(
        f'sum(aftersend_event_age_seconds_count) - sum(aftersend_records_total{{topic="{events}"}})'
    )
    assert report.unreadable == prometheus.value("sum(aftersend_dead_letters_total)")
    unknown = prometheus.series('sum by (name) (aftersend_unknown_names_total{source="kumomta"})', "name")
    assert NOVELTIES == sum(n for (name,), n in unknown.items() if name.startswith(NOVELTY) or name == OTHER)
    assert unknown[OTHER,] >= NOVELTIES - 50
    assert 2 == prometheus.value("sum(aftersend_ready)")
    assert 1 == prometheus.value("sum(aftersend_leader)")
    # A tick may just be on its way.
    await prometheus.until(lambda: prometheus.value("max(aftersend_lag_records)"), 0.0)
    await prometheus.until(
        lambda: prometheus.series("aftersend:heartbeat_age_seconds < bool 15", "stage"),
        {("commit",): 1.0, ("redis",): 1.0},
    )

    # A rate takes two scrapes within its minute.
    await prometheus.until(lambda: [query for query in dashboard_queries() if not answered(prometheus, query)], [])

    # One of them ends and comes again: what it counts begins at 0, what it shows of the tables does not.
    second = f"127.0.0.1:{ports[1]}"
    before = by_decision(prometheus, second)
    workers[1].terminate()
    assert EXIT_OK == await workers[1].wait()
    await prometheus.until(lambda: prometheus.value("sum(aftersend_ready)"), 1.0)
    await prometheus.until(lambda: differing(prometheus, report), [])
    assigned = workers[1].log().count("partitions assigned")
    workers[1].start()
    await workers[1].await_log("partitions assigned", times=assigned + 1)
    await installation.write(load(installation, 200, 2))
    await installation.await_caught_up()
    report = await check(installation.settings)
    await prometheus.until(lambda: before + by_decision(prometheus), report.decisions)
    await prometheus.until(lambda: differing(prometheus, report), [])
    assert 0 < prometheus.value("sum(aftersend_restored_records_total)")
    assert 0 == prometheus.value('sum(aftersend_transactions_total{outcome="failed"})')

    # The simulated campaign has its share of complaints.
    firing = {"AftersendDeadLetters", "AftersendDeliveryAlert"}
    await prometheus.until(lambda: alerts(prometheus, "firing"), firing)
    await installation.finish()
    await prometheus.until(lambda: "AftersendAbsent" in alerts(prometheus, "pending"), expected=True)
    assert [] == [rule["name"] for group in prometheus.get("rules")["groups"] for rule in unhealthy(group)]


def alerts(prometheus: EmbeddedPrometheus, state: str) -> set[str]:
    """Return the names of the alerts in a state."""
    return {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == state}


def dashboard_queries() -> Iterator[str]:
    """Yield the dashboard's queries that workers have something to say to, as Grafana asks them."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            if not re.search("aftersend_(gateway|compute_stats)_", target["expr"]):
                yield target["expr"].replace("$__rate_interval", "1m").replace("$delivery", ".*")


def answered(prometheus: EmbeddedPrometheus, query: str) -> bool:
    """Tell whether Prometheus has an answer to a query."""
    return bool(prometheus.get("query", query=query)["result"])


def unhealthy(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of a group that Prometheus could not evaluate."""
    return [rule for rule in group["rules"] if rule["health"] != "ok"]


async def test_the_page_is_fit_for_prometheus(install: Callable[..., Installation]) -> None:
    """In both formats, by promtool's linter, and with nothing that the documentation does not have."""
    (port,) = pick_free(1)
    installation = install(metrics_deliveries=2)
    await installation.start(web_port=port)
    await installation.write([*load(installation, 100, 3), *junk(installation)])
    await installation.await_caught_up()

    kind, text = page(port)
    assert kind.startswith("text/plain; version=0.0.4")
    promtool("check", "metrics", given=text.encode())
    kind, text = page(port, OPENMETRICS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")

    typed = dict(re.findall(r"^# TYPE (aftersend_\S+) (\S+)$", text, re.MULTILINE))
    ours = {name.removesuffix("_total"): metric.kind.value for name, metric in METRICS.items()}
    assert {} == {name: kind for name, kind in typed.items() if ours.get(name) != kind}
    missing = ours.keys() - typed.keys()
    assert set() == {
        name for name in missing if not name.startswith(("aftersend_gateway_", "aftersend_compute_stats_"))
    }
    assert 3 == len(set(re.findall(r'^aftersend_delivery_sent{delivery="([^"]+)"}', text, re.MULTILINE)))
    assert re.search(r"^process_cpu_seconds_total ", text, re.MULTILINE)
    assert re.search(r"^python_info{", text, re.MULTILINE)


async def test_prometheus_sees_the_gateway(install: Callable[..., Installation], scrape: Scrape) -> None:
    """Requests by source and code; paths that nobody asked for have no series of their own."""
    installation = install()
    await installation.apply_topics()
    signer = Signer()
    gateway = GatewayProcess(installation, gateway_secrets={"sendgrid": signer.secret})
    body = b'[{"email":"x@example.org","event":"open","timestamp":1790000000,"sg_event_id":"1"}]'
    try:
        await gateway.start()
        prometheus = scrape(**{"aftersend-gateway": [gateway.admin_port]})
        async with aiohttp.ClientSession() as session:
            for n in range(5):
                forged = signer.headers(body + b" ") if n < 2 else signer.headers(body)
                async with session.post(f"{gateway.url}/webhooks/sendgrid", data=body, headers=forged) as answer:
                    assert (401 if n < 2 else 200) == answer.status
            for n in range(7):
                async with session.post(f"{gateway.url}/webhooks/guess{n}", data=body) as answer:
                    assert 404 == answer.status
        await prometheus.until(
            lambda: prometheus.series("aftersend_gateway_requests_total", "source", "code"),
            {("sendgrid", "200"): 3.0, ("sendgrid", "401"): 2.0, (OTHER, "404"): 7.0},
        )
        assert 3 == prometheus.value('sum(aftersend_gateway_ack_duration_seconds_count{source="sendgrid"})')
        bodies = prometheus.series("aftersend_gateway_body_bytes_total", "source")
        assert 5.0 * len(body) == bodies["sendgrid",]
        assert 1 == prometheus.value("sum(aftersend_gateway_ready)")
        _, text = page(gateway.admin_port)
        promtool("check", "metrics", given=text.encode())
    finally:
        gateway.close()


def test_the_rules_are_valid_and_fire_when_they_should() -> None:
    promtool("check", "rules", str(DEPLOYED / "aftersend.rules.yml"))
    promtool("check", "config", str(DEPLOYED / "prometheus.yml"))
    promtool("test", "rules", str(DEPLOYED / "aftersend.rules.test.yml"))
