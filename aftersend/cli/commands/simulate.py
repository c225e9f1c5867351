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
from aftersend.cli.render.output import console, count, print_json, say, table
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

#: Duration of a campaign without a rate, seconds; it ends now.
_DURATION: Final = 3 * 3600.0
#: Records for each recipient, on average; the journeys' weights give it.
_RECORDS_EACH: Final = 3.01
_FEWEST: Final = 10.0
_MAX_SEED: Final = 2**31
#: A URL without this gets the webhook's path.
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

    The campaign has what production has: events out of order, duplicates (3 %, one event 46 times), every class of
    bounce, deferrals that succeed later, complaints, machine opens, test messages, and a few unreadable records.

    - An MTA: writes its log and the tracker's events to their raw topics, late events included. The topics must exist
      (`aftersend topics apply`). Workers may run already or start later.
    - A provider: posts signed batches to its webhook at the gateway, and repeats a request after 429 or 503 when its
      Retry-After says so. The gateway needs the keys: --make-key creates them and prints the gateway's settings.

    For example:

        aftersend simulate                                   # 1,000 recipients, about 3,000 records
        aftersend simulate --recipients 100000 --rate 2000   # live: 2,000 records a second
        aftersend simulate --seed 7                          # the same campaign each time
        aftersend simulate --make-key keys                   # keys, and the gateway's settings for them
        aftersend simulate <provider> --key keys --rate 200

    A second run with the same seed counts as duplicates.

    Args:
        source: Source of the events.
        recipients: Number of recipients of all deliveries together; each has about three records.
        deliveries: Number of deliveries; each recipient is in two of them.
        seed: Seed of the random numbers; random by default.
        rate: Records a second. 0: all at once, as a campaign of three hours that ends now.
        url: Address of the gateway or of one webhook. Default: AFTERSEND_GATEWAY_HOST and AFTERSEND_GATEWAY_PORT.
        key: Key that signs the requests: a file, or the folder of --make-key.
        batch: Most events in a request; a provider's own limit applies if it is lower.
        make_key: Create missing keys in this folder, print the gateway's settings, and end.
        as_json: Print one JSON object.
    """
    if make_key is not None:
        _make_key(make_key, as_json=as_json)
        return
    campaign = _Campaign(source, recipients, deliveries, random.randrange(_MAX_SEED) if seed is None else seed, rate)  # noqa: S311 - no secret
    began = time.monotonic()
    told = campaign.write(command_settings(), url, key, batch, shown=sys.stderr.isatty() and not as_json)
    told["seconds"] = round(time.monotonic() - began, 3)
    if as_json:
        print_json(told)
    else:
        _show(told, campaign.summary)


class _Campaign:
    """A campaign to write.

    Args:
        source: source of the events.
        recipients: number of recipients.
        deliveries: number of deliveries.
        seed: of the random numbers.
        rate: records a second; 0: all at once.
    """

    def __init__(self, source: str, recipients: int, deliveries: int, seed: int, rate: float) -> None:
        self._source = source
        self._webhook = simulator(source).webhook
        self._seed = seed
        self._rate = rate
        self._expected = int(recipients * _RECORDS_EACH)
        duration = max(_FEWEST, self._expected / rate) if rate else _DURATION
        start = time.time() - (0.0 if rate else duration)
        self.summary = Summary()
        self._records = simulate_campaign(
            recipients, deliveries, seed, start, duration=duration, source=source, summary=self.summary
        )
        label = source if self._webhook is not None else ""
        self._deliveries = [delivery(number, label).id for number in range(deliveries)]

    def write(
        self, settings: Settings, url: str | None, key: Path | None, batch: int, *, shown: bool
    ) -> dict[str, Any]:
        """Write the campaign; return what was written."""
        told: dict[str, Any] = {}
        if self._webhook is not None:
            size = min(batch, self._webhook.batch)
            address = _address(settings, url, self._source)
            told = _post(self._records, self._source, address, key, size, self._rate, self._expected, shown=shown)
        else:
            partitions = wait_for(_partitions(settings, self._source))
            with progress("writing", self._expected, shown=shown) as on_sent:
                wait_for(write_raw_records(settings, self._records, partitions, self._rate, on_sent))
        told |= {"seed": self._seed, "deliveries": self._deliveries, **msgspec.to_builtins(self.summary)}
        return told


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
    """Post a campaign; return the numbers of requests by answer."""
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
    say(
        f"""keys are in {folder.absolute()}. For the gateway:

export AFTERSEND_GATEWAY_SECRETS_DIR={made.secrets}
export AFTERSEND_GATEWAY_CERTIFICATES='{certificates}'
aftersend gateway

and, in another terminal:

{commands}

Certificates from files are for simulations only: don't set them where real webhooks come in."""
    )
