"""`broadsheet rebuild`, `prune` and `dead-letters`: what an operator does on the servers themselves."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from libs.common import clock, database, dead_letters, rebuild, retention
from libs.console.running import servers

console = Console()
letters = typer.Typer(no_args_is_help=True, help="Messages that a service could not handle.")


def rebuild_tables() -> None:
    """Empty the tables that come from events and fill them again, to the same rows; whoever sends meanwhile waits."""
    database_url = servers()["database_url"]

    async def run() -> tuple[int, dict[str, tuple[int, str]], dict[str, tuple[int, str]]]:
        async with (
            database.create_pool(database_url, size=1) as pool,
            database.transaction(pool) as connection,
        ):
            await rebuild.lock(connection)
            before = await rebuild.fingerprints(connection)
            replayed = await rebuild.rebuild(connection)
            return replayed, before, await rebuild.fingerprints(connection)

    replayed, before, after = asyncio.run(run())
    table = Table("table", "rows before", "rows after", "the same")
    for name in before:
        same = "yes" if before[name] == after[name] else "NO"
        table.add_row(name, f"{before[name][0]:,}", f"{after[name][0]:,}", same)
    console.print(table)
    console.print(f"{replayed:,} events replayed.")
    if before != after:
        console.print("The tables had drifted from history; they hold what history says now.")


def prune(
    older_than: Annotated[int, typer.Option(min=7, help="Days since a broadcast was completed, or a reply came.")],
) -> None:
    """Forget numbers and words of old broadcasts and replies; figures, history and opt-outs stay."""
    database_url = servers()["database_url"]

    async def run() -> retention.Forgotten:
        async with database.create_pool(database_url, size=1) as pool:
            now = clock.utc_now()
            return await retention.prune(pool, now - timedelta(days=older_than), now)

    forgotten = asyncio.run(run())
    console.print(
        f"Forgotten: the numbers of {forgotten.broadcasts:,} broadcasts, the words of {forgotten.replies:,} replies."
    )


@letters.command("list")
def list_letters() -> None:
    """List the dead letters; they stay where they are."""
    found = asyncio.run(dead_letters.browse(servers()["amqp_url"]))
    table = Table("service", Column("id", no_wrap=True), "type", "broadcast", "queue", "reason")
    for letter in found:
        broadcast = "" if letter.broadcast_id is None else str(letter.broadcast_id)
        # What could not be read may say anything.
        table.add_row(*map(escape, (letter.service, letter.id, letter.type, broadcast, letter.queue, letter.reason)))
    console.print(table if found else "No dead letters.")


@letters.command("retry")
def retry_letters(
    message_id: Annotated[str | None, typer.Argument(help="The message's id; all of them without one.")] = None,
) -> None:
    """Send dead letters back to the queues they came from."""
    sent = asyncio.run(dead_letters.send_back(servers()["amqp_url"], message_id))
    console.print(f"{sent} sent back.")
    if message_id is not None and sent == 0:
        console.print(f"There is no dead letter {message_id}.")
        raise typer.Exit(1)
