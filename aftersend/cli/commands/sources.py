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

    When too many of a source's records are unreadable (AFTERSEND_BREAKER_SHARE), its partitions pause; nothing is lost.
    When they are all of one tenant, only that tenant's records are not parsed: they go to the dead letters.
    """,
)


@app.command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """List the sources with their raw topics.

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

    If the records are still unreadable the source pauses again. To let them go to the dead letters, raise
    AFTERSEND_BREAKER_SHARE to 1 and restart the workers; `aftersend dead-letters replay` brings them back.

    For example:

        aftersend sources resume sender
        aftersend sources resume sender --tenant shop
        aftersend dead-letters replay --error TenantPausedError    # what was not parsed meanwhile

    Args:
        source: Its name, as `aftersend sources list` has it; or `events`.
        tenant: Only this tenant of it.
        as_json: One JSON object: the command as it was written.
    """
    command = wait_for(send_resume(command_settings(), source, tenant))
    if as_json:
        print_json({"topic": command.topic, "tenant": command.tenant, "by": command.by})
        return
    whose = f"the tenant {tenant!r} of {command.topic}" if tenant is not None else command.topic
    console().print(f"told all workers to resume {whose}")
