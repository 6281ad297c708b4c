"""`broadsheet rebuild`, `prune` and `dead-letters`: what an operator does on the servers themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table

from libs.common import clock, database
from libs.common.domain.events.registers import DeadLettersDropped, DeadLettersSentBack
from libs.common.eventstore import store
from libs.common.messaging import dead_letters
from libs.common.operations import rebuild, retention
from libs.console import local_stack
from libs.console.bars import bar
from libs.console.inputs import Json
from libs.console.printing import Yes, agree, console, errors, one_line, say, write_json

#: What is done to dead letters is in this stream of history.
STREAM = "dead-letters"

T = TypeVar("T")

letters = typer.Typer(no_args_is_help=True, help="Messages that a service could not handle.")


def rebuild_tables(yes: Yes = False, as_json: Json = False) -> None:
    """Empty the tables that come from events and fill them again, to the same rows; whoever sends meanwhile waits."""
    database_url, pooler = local_stack.database_url(), local_stack.database_pooler()
    agree(f"Empty and refill {', '.join(rebuild.TABLES)} of {local_stack.place(database_url)}?", yes=yes)

    async def run() -> tuple[int, dict[str, tuple[int, str]], dict[str, tuple[int, str]]]:
        async with (
            database.disposing(
                database.create_engine(
                    database_url, size=1, pooler=pooler, longest=rebuild.LONGEST, actor=local_stack.somebody()
                )
            ) as engine,
            database.transaction(engine) as connection,
        ):
            await rebuild.lock(connection)
            before = await rebuild.fingerprints(connection)
            with bar("Replaying history", as_json=as_json) as tell:
                replayed = await rebuild.rebuild(connection, tell)
            return replayed, before, await rebuild.fingerprints(connection)

    replayed, before, after = asyncio.run(run())
    if as_json:
        tables = [
            {
                "table": name,
                "rows_before": before[name][0],
                "rows_after": after[name][0],
                "same": before[name] == after[name],
            }
            for name in before
        ]
        write_json({"replayed": replayed, "tables": tables})
        return
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
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Forget numbers and words of old broadcasts and replies for good; figures, history and opt-outs stay."""
    database_url, pooler = local_stack.database_url(), local_stack.database_pooler()
    where = local_stack.place(database_url)
    agree(f"Forget numbers and words of more than {older_than} days ago in {where}, for good?", yes=yes)

    async def run() -> retention.Forgotten:
        long_work = database.create_engine(
            database_url, size=1, pooler=pooler, longest=database.LONG_WORK, actor=local_stack.somebody()
        )
        async with database.disposing(long_work) as engine:
            now = clock.utc_now()
            with bar("Forgetting", as_json=as_json) as tell:
                return await retention.prune(engine, now - timedelta(days=older_than), now, tell)

    forgotten = asyncio.run(run())
    say(
        f"Forgotten: the numbers of {forgotten.broadcasts:,} broadcasts, the words of {forgotten.replies:,} replies.",
        asdict(forgotten),
        as_json=as_json,
    )


@letters.command("list")
def list_letters(as_json: Json = False) -> None:
    """List the dead letters; they stay where they are."""
    found = asyncio.run(dead_letters.browse(local_stack.amqp_url()))
    if as_json:
        write_json(list(map(asdict, found)))
        return
    table = Table("service", Column("id", no_wrap=True), "type", "broadcast", "queue", "reason")
    for letter in found:
        broadcast = "" if letter.broadcast_id is None else str(letter.broadcast_id)
        # What could not be read may say anything.
        table.add_row(*map(one_line, (letter.service, letter.id, letter.type, broadcast, letter.queue, letter.reason)))
    console.print(table if found else "No dead letters.")


@letters.command("retry")
def retry_letters(
    message_id: Annotated[str | None, typer.Argument(help="The message's id; all of them without one.")] = None,
    as_json: Json = False,
) -> None:
    """Send dead letters back to the queues they came from."""

    async def run(connection: database.Connection) -> int:
        sent = await dead_letters.send_back(local_stack.amqp_url(), message_id)
        if sent:
            event = DeadLettersSentBack(letters=sent)
            await store.append(connection, STREAM, [event], now=clock.utc_now())
        return sent

    sent = asyncio.run(_in_a_transaction(run))
    say(f"{sent} sent back.", {"sent_back": sent}, as_json=as_json)
    if message_id is not None and sent == 0:
        errors.print(f"There is no dead letter {message_id}.")
        raise typer.Exit(1)


@letters.command("drop")
def drop_letters(
    message_id: Annotated[str | None, typer.Argument(help="The message's id.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove dead letters for good: what will never be handled. The step itself comes again if it is still due."""
    if (message_id is None) == (not everything):
        errors.print("Name the message's id, or say --all.")
        raise typer.Exit(2)
    agree("Drop all dead letters for good?" if everything else f"Drop {message_id} for good?", yes=yes)

    async def run(connection: database.Connection) -> list[dead_letters.DeadLetter]:
        dropped = await dead_letters.drop(local_stack.amqp_url(), message_id)
        if dropped:
            event = DeadLettersDropped(letters=len(dropped))
            await store.append(connection, STREAM, [event], now=clock.utc_now())
        return dropped

    dropped = asyncio.run(_in_a_transaction(run))
    if as_json:
        write_json({"dropped": list(map(asdict, dropped))})
    else:
        for letter in dropped:
            what = " ".join(filter(None, (letter.id, letter.type, letter.queue, letter.reason)))
            console.print(one_line(f"dropped: {what}"), soft_wrap=True)
        console.print(f"{len(dropped)} dropped.")
    if message_id is not None and not dropped:
        errors.print(f"There is no dead letter {message_id}.")
        raise typer.Exit(1)


async def _in_a_transaction(work: Callable[[database.Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction whose actor is whoever runs the command. Nothing is done if the database is away."""
    engine = database.create_engine(
        local_stack.database_url(), size=1, pooler=local_stack.database_pooler(), actor=local_stack.somebody()
    )
    async with database.disposing(engine), database.transaction(engine) as connection:
        return await work(connection)
