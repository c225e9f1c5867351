"""`aftersend simulate`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import orjson
from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json, table
from aftersend.cli.render.progress import progress
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError, UsageError
from aftersend.sandbox.simulation.campaign import Summary, simulate_campaign
from aftersend.sandbox.simulation.deliveries import delivery
from aftersend.sandbox.simulation.simulators import DEFAULT, SIMULATED, simulator
from aftersend.schemas.raw import RawRecord
from aftersend.services.kafka.raw_records import write_raw_records
from aftersend.sources.own import tracking

#: What a campaign takes when nothing says otherwise: it ends now.
_DURATION: Final = 3 * 3600.0
#: Records for each recipient, on average; the journeys' weights give it.
_RECORDS_EACH: Final = 3.01
_FEWEST: Final = 10.0
_MAX_SEED: Final = 2**31
#: What is left out of a URL for the webhook's path to be added.
_PATH: Final = "/webhooks/"

if TYPE_CHECKING:
    SimulatedSource = str
else:
    SimulatedSource = Literal[SIMULATED]

Positive = Annotated[int, Parameter(validator=Number(gt=0))]


def simulate(
    source: SimulatedSource = DEFAULT,
    /,
    *,
    recipients: Positive = 1000,
    deliveries: Positive = 3,
    seed: int | None = None,
    rate: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    url: str | None = None,
    key: Path | None = None,
    batch: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 100,
    make_key: Path | None = None,
    as_json: Json = False,
) -> None:
    """Write a simulated campaign to the raw topics, or post it to a gateway.

    Writes the records of an MTA and a tracker, or posts the events of a provider, with all that happens in production:
    out of order, repeated (3 %, one event 46 times), bounces of every class, deferrals that succeed later, complaints,
    opens by machines, test messages, and a few records that can't be read.

    - A source that sends no webhooks, such as an MTA: its log and the tracker's, straight to their raw topics, with
      what comes too late. The topics have to be there (`aftersend topics apply`); workers may run or be started later.
    - A provider: POSTs to its webhook, with as many events in each as it sends, signed as it signs them or with its
      credentials. A gateway (`aftersend gateway`) takes them if it has the keys: --make-key makes some, and prints the
      settings for it. A request that gets 429 or 503 is sent again, when its Retry-After says.

    For example:

        aftersend simulate                                   # 1000 recipients, some 3000 records
        aftersend simulate --recipients 100000 --rate 2000   # live: 2000 records a second
        aftersend simulate --seed 7                          # the same campaign each time
        aftersend simulate --make-key keys                   # keys, and the gateway's settings for them
        aftersend simulate <provider> --key keys --rate 200
        aftersend simulate <provider> --key keys --url http://gateway:8080

    A campaign that is written twice with the same seed counts as duplicates, mostly: that is what duplicates are for.

    Args:
        source: Who reports on the campaign.
        recipients: How many, of all deliveries together; some three records each.
        deliveries: How many; each recipient is in two of them.
        seed: Another number, another campaign; by default another one each time.
        rate: Records a second, in real time; 0: at once, as a campaign of three hours that ends now.
        url: Of the gateway, or the whole address of a webhook, with a token say; by default where the settings of this
            machine have one (AFTERSEND_GATEWAY_HOST, AFTERSEND_GATEWAY_PORT).
        key: What requests are signed with: a file, or the folder that --make-key made.
        batch: Events in a request, or fewer where the provider sends fewer.
        make_key: Make keys in this folder (once; those that are there stay), print the gateway's settings, and no more.
        as_json: One JSON object with what was written.
    """
    if make_key is not None:
        _make_key(make_key, as_json=as_json)
        return
    settings = command_settings()
    webhook = simulator(source).webhook
    chosen = seed if seed is not None else random.randrange(_MAX_SEED)  # noqa: S311 - no secret
    expected = int(recipients * _RECORDS_EACH)
    duration = max(_FEWEST, expected / rate) if rate else _DURATION
    start = time.time() - (0.0 if rate else duration)
    summary = Summary()
    records = simulate_campaign(
        recipients, deliveries, chosen, start, duration=duration, source=source, summary=summary
    )
    began = time.monotonic()
    shown = sys.stderr.isatty() and not as_json
    told: dict[str, Any] = {}
    if webhook is not None:
        size = min(batch, webhook.batch)
        address = _address(settings, url, source)
        told = _post(records, source, address, key, size, rate, expected, shown=shown)
    else:
        partitions = wait_for(_partitions(settings, source))
        with progress("writing", expected, shown=shown) as on_sent:
            wait_for(write_raw_records(settings, records, partitions, rate, on_sent))
    seconds = time.monotonic() - began
    ids = [delivery(number, source if webhook is not None else "").id for number in range(deliveries)]
    told |= {"seed": chosen, "seconds": round(seconds, 3), "deliveries": ids, **msgspec.to_builtins(summary)}
    if as_json:
        print_json(told)
    else:
        _show(told, summary)


def _show(told: dict[str, Any], summary: Summary) -> None:
    shown = table("Written", "what", "records", right=("records",))
    shown.add_row("all records", count(summary.records))
    for name, number in sorted(summary.steps.items(), key=lambda item: -item[1]):
        shown.add_row(f"  {name}", count(number))
    for name in ("duplicates", "broken", "unattributed", "tests", "late"):
        shown.add_row(name, count(told[name]))
    for answer, number in told.get("answers", {}).items():
        shown.add_row(f"requests answered {answer}", count(number))
    screen = console()
    screen.print(shown)
    screen.print(
        f"in {told['seconds']:.1f} s, seed {told['seed']}; look at it with: aftersend kpi {told['deliveries'][0]}"
    )


async def _partitions(settings: Settings, name: str) -> dict[str, int]:
    """Return the partitions of the raw topics that a source's campaign is written to, by source."""
    cluster = await admin.inspect(settings.kafka_options())
    found = {}
    for source in (name,) if simulator(name).tracks else (name, tracking.NAME):
        topic = settings.topics.raw(source)
        if topic not in cluster.partitions:
            raise KafkaUnusableError(f"topic {topic} is missing: run `aftersend topics apply` first")
        found[source] = cluster.partitions[topic]
    return found


# ---------------------------------------------------------------------------------------------------------- over HTTP


def _address(settings: Settings, url: str | None, provider: str) -> str:
    """Return the address of a provider's webhook."""
    if url is None:
        host = settings.gateway_host if settings.gateway_host not in {"0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104
        url = f"http://{host}:{settings.gateway_port}"
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url {url}: must start with http:// or https://")
    return url if _PATH in url else f"{url.rstrip('/')}{_PATH}{provider}"


def _post(
    records: Iterator[RawRecord],
    provider: str,
    address: str,
    key: Path | None,
    batch: int,
    rate: float,
    expected: int,
    *,
    shown: bool,
) -> dict[str, Any]:
    """Post a campaign; return what became of the requests."""
    # Libraries that writing to Kafka can do without.
    from aftersend.sandbox.simulation.posting import Poster, batches
    from aftersend.sandbox.simulation.signing import signer

    if key is None:
        raise UsageError(
            f"--key is missing: `aftersend simulate --make-key keys` makes keys, then `simulate {provider} --key keys`"
        )
    # At a rate, a provider does not wait for a batch to be full.
    size = max(1, min(batch, int(rate))) if rate else batch
    with progress("posting", expected, shown=shown, unit="events") as on_posted:
        poster = Poster(address, signer(provider, key), on_posted=on_posted)
        posted = wait_for(poster.post_all(batches(records, size), rate))
    return {"url": address, "requests": posted.requests, "answers": posted.answers, "repeated": posted.repeated}


def _make_key(folder: Path, *, as_json: bool) -> None:
    from aftersend.sandbox.simulation.signing import make_keys

    made = make_keys(folder.absolute())
    certificates = orjson.dumps(made.certificates).decode()
    if as_json:
        print_json(
            {
                "keys": {provider: str(path) for provider, path in made.private.items()},
                "gateway_secrets_dir": str(made.secrets),
                "gateway_certificates": made.certificates,
            }
        )
        return
    commands = "\n".join(f"aftersend simulate {provider} --key {folder}" for provider in made.private)
    print(
        f"""keys are in {folder.absolute()}. For the gateway:

export AFTERSEND_GATEWAY_SECRETS_DIR={made.secrets}
export AFTERSEND_GATEWAY_CERTIFICATES='{certificates}'
aftersend gateway

and, in another terminal:

{commands}

Certificates from files are for simulations only: don't set them where real webhooks come in."""
    )
