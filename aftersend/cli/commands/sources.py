"""`aftersend sources`."""

from __future__ import annotations

from cyclopts import App

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, print_json, table
from aftersend.services.control import resume as send_resume
from aftersend.sources.registry import REGISTRY

app = App(
    name="sources",
    help="""List the sources, or resume one that is paused.

    If too many records of a source are unreadable (AFTERSEND_BREAKER_SHARE), its partitions pause; nothing is lost. If
    all of these are of one tenant, only that tenant pauses: its records go to the dead letters without being parsed.
    """,
)


@app.command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """List the sources with their raw topics.

    Exit codes: 0 done, 3 invalid settings.

    Args:
        as_json: One JSON object, by source.
    """
    topics = command_settings().topics
    if as_json:
        print_json(
            {
                name: {"title": source.title, "topic": topics.raw(name), "webhook": source.webhook is not None}
                for name, source in REGISTRY.items()
            }
        )
        return
    shown = table("", "source", "raw topic", "webhook", "title")
    for name, source in REGISTRY.items():
        shown.add_row(name, topics.raw(name), "yes" if source.webhook is not None else "no", source.title)
    console().print(shown)


@app.command
def resume(source: str, *, tenant: str | None = None, as_json: Json = False) -> None:
    """Resume a paused source: all workers parse its records again, at once.

    If the records are still unreadable, the source pauses again. To send them to the dead letters instead, set
    AFTERSEND_BREAKER_SHARE to 1 and restart the workers; `aftersend dead-letters replay` writes them back later.

    For example:

        aftersend sources resume sender
        aftersend sources resume sender --tenant shop
        aftersend dead-letters replay --error TenantPausedError    # records that arrived during the pause

    Exit codes: 0 done, 2 no such source, 3 invalid settings, 4 Kafka does not answer.

    Args:
        source: Name of the source, as `aftersend sources list` prints it; or `events`.
        tenant: Resume this tenant only.
        as_json: One JSON object: the command that was written.
    """
    command = wait_for(send_resume(command_settings(), source, tenant))
    if as_json:
        print_json({"topic": command.topic, "tenant": command.tenant, "by": command.by})
        return
    scope = f"tenant {tenant!r} of {command.topic}" if tenant is not None else command.topic
    console().print(f"all workers resume {scope}")
