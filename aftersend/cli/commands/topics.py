"""`aftersend topics`."""

from __future__ import annotations

from cyclopts import App

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, print_json, table
from aftersend.config.installation import foreign_topics, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import EXIT_FAILED, EXIT_OK

app = App(
    name="topics",
    help="""Create the topics, or show how they are.

    Names begin with AFTERSEND_TOPIC_PREFIX (default "feedback"). AFTERSEND_PARTITIONS says how many partitions they
    get: once there are rows the number can't change, so rather take too many. AFTERSEND_REPLICATION_FACTOR says how
    many replicas, by default as many as the broker's own default.
    """,
)


@app.command
def apply(*, as_json: Json = False) -> None:
    """Create the topics that are missing, and set the configuration of the others.

    May be called again at any time: what is as it should be stays untouched. Topics of names of their own
    (AFTERSEND_RAW_TOPICS, AFTERSEND_EVENTS_TOPIC) are created if they are missing, else left to whoever made them.

    Args:
        as_json: One JSON object, by topic.
    """
    settings = command_settings()
    done = wait_for(
        admin.apply_topics(
            settings.kafka_options(), topic_layouts(settings), settings.replication_factor, foreign_topics(settings)
        )
    )
    if as_json:
        print_json({one.name: {"result": one.result, "changed": one.changed} for one in done})
        return
    shown = table("", "topic", "result", "changed")
    for one in done:
        changes = ", ".join(f"{name} {old or 'not set'} -> {new}" for name, (old, new) in one.changed.items())
        shown.add_row(one.name, one.result, changes)
    console().print(shown)


@app.command
def show(*, as_json: Json = False) -> int:
    """Show every topic, and what about it is not as it should be.

    Exit code 1 if a worker could not work with them.

    Args:
        as_json: One JSON object, by topic.
    """
    settings = command_settings()
    layouts = topic_layouts(settings)
    cluster, found = wait_for(_look(settings, [layout.name for layout in layouts]))
    problems = admin.problems(cluster, settings.topics, layouts)
    if as_json:
        rows = {
            layout.name: {
                "purpose": layout.purpose,
                "partitions": found[layout.name].partitions if layout.name in found else None,
                "replicas": found[layout.name].replicas if layout.name in found else None,
                "differs": admin.differing(layout, found[layout.name]) if layout.name in found else {},
            }
            for layout in layouts
        }
        print_json({"topics": rows, "problems": problems})
        return EXIT_FAILED if problems else EXIT_OK
    shown = table("", "topic", "partitions", "replicas", "differs", "purpose", right=("partitions", "replicas"))
    for layout in layouts:
        there = found.get(layout.name)
        if there is None:
            shown.add_row(layout.name, "-", "-", "missing", layout.purpose)
            continue
        differs = [f"{k}={old or 'not set'}, not {new}" for k, (old, new) in admin.differing(layout, there).items()]
        shown.add_row(
            layout.name, str(there.partitions), str(there.replicas), "; ".join(differs) or "no", layout.purpose
        )
    screen = console()
    screen.print(shown)
    for problem in problems:
        screen.print(f"problem: {problem}")
    return EXIT_FAILED if problems else EXIT_OK


async def _look(settings: Settings, names: list[str]) -> tuple[admin.Cluster, dict[str, admin.TopicFound]]:
    options = settings.kafka_options()
    return await admin.inspect(options), {found.name: found for found in await admin.show_topics(options, names)}
