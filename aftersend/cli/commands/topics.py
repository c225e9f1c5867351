"""`aftersend topics`."""

from __future__ import annotations

from typing import Final

from cyclopts import App

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, print_json
from aftersend.cli.render.topics import applied_topics, topic_list
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.services.kafka.ownership import claim_topics
from aftersend.services.kafka.topics import apply_topics, read_topics

app: Final = App(
    name="topics",
    help="""Create the topics, or show them.

    Settings: AFTERSEND_TOPIC_PREFIX is the prefix of their names (default "feedback"). AFTERSEND_PARTITIONS is their
    number of partitions, which can't change once there are rows: choose a generous number.
    AFTERSEND_REPLICATION_FACTOR is their number of replicas, by default the broker's.
    """,
)


@app.command
def apply(*, as_json: Json = False) -> None:
    """Create missing topics, and set the configuration of the others.

    Can be repeated at any time: topics that are as they should be are not changed. Topics with names of their own
    (AFTERSEND_RAW_TOPICS, AFTERSEND_EVENTS_TOPIC) are created if they are missing, and else left to their owners.

    Exit codes: 0 done, 3 invalid settings, 4 Kafka does not answer, or a topic has another number of partitions.

    Args:
        as_json: One JSON object, by topic.
    """
    results = wait_for(apply_topics(command_settings()))
    if as_json:
        print_json({one.name: {"result": one.result, "changed": one.changed} for one in results})
    else:
        console().print(applied_topics(results))


@app.command
def claim(*, as_json: Json = False) -> None:
    """Make this installation (AFTERSEND_APP_ID, the Kafka cluster) the owner of the topics.

    The first worker that starts on new topics claims them; the workers of another application are refused from then on.
    This command gives them to another application, after AFTERSEND_APP_ID was changed, or to another cluster, after the
    topics were copied there. No worker of the former owner may run. Rows, contacts and KPIs stay as they are, and what
    was processed is not counted again.

    Exit codes: 0 done, 1 the former owner's workers run, 3 invalid settings, 4 Kafka does not answer, or the topics
    have another layout.

    Args:
        as_json: One JSON object.
    """
    settings = command_settings()
    former = wait_for(claim_topics(settings))
    if as_json:
        print_json({"owner": settings.app_id, "former": None if former is None else former.identity})
    else:
        taken = f", not to {former.identity} any more" if former is not None else ""
        console().print(f"the topics {settings.topic_prefix}.* belong to {settings.app_id}{taken}")


@app.command
def show(*, as_json: Json = False) -> int:
    """Show every topic, and its differences from what it should be.

    Exit codes: 0 workers can use the topics, 1 they can't, 3 invalid settings, 4 Kafka does not answer.

    Args:
        as_json: One JSON object, by topic.
    """
    report = wait_for(read_topics(command_settings()))
    if as_json:
        print_json(report.as_json())
    else:
        screen = console()
        screen.print(topic_list(report.layouts, report.existing))
        for problem in report.problems:
            screen.print(f"problem: {problem}")
    return EXIT_FAILED if report.problems else EXIT_OK
