"""`broadsheet`: the command line."""

import asyncio
import logging
import sys
from typing import Annotated

import typer

from libs.common.database import grants
from libs.common.database.migrate import migrate
from libs.common.errors import SettingsError
from libs.common.settings import ApiSettings, CarrierSettings, load
from libs.console.accounts import audit, keys, users
from libs.console.audience import contacts, erase, segments
from libs.console.broadcasts import broadcasts, stop_now
from libs.console.client import ApiError, NoApi
from libs.console.completion import completion
from libs.console.demo import run, run_against
from libs.console.doctor import examine
from libs.console.history import history
from libs.console.inputs import Json, address
from libs.console.local_stack import FOLDER, RUN_FILE, all_given, database_url, migration_url, named, place, recorded
from libs.console.printing import Yes, agree, console, errors, never_fail_to_encode, say, somebody_is_there
from libs.console.reconciling import mark_restored, settle_restored
from libs.console.repair import letters, prune, rebuild_tables
from libs.console.replies import replies
from libs.console.running import everything, told_to_end
from libs.console.supervisor import DidNotStart
from libs.console.trying import list_tried, try_out

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="SMS broadcasts: nobody twice, nobody lost."
)
tables = typer.Typer(no_args_is_help=True, help="The schema.")
app.add_typer(tables, name="db")
app.add_typer(broadcasts, name="broadcast")
broadcasts.command("test")(try_out)
broadcasts.command("tests")(list_tried)
app.add_typer(segments, name="segments")
app.add_typer(contacts, name="contacts")
app.add_typer(replies, name="replies")
app.add_typer(letters, name="dead-letters")
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.command("audit")(audit)
app.command("rebuild")(rebuild_tables)
app.command("prune")(prune)
app.command("restored")(mark_restored)
app.command("reconcile")(settle_restored)
app.command("stop-now")(stop_now)
app.command("erase")(erase)
app.command("history")(history)
app.command("completion")(completion)


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="What the handsets do.")] = 7,
    against: Annotated[
        str, typer.Option(help="The URL of an API that runs already, in containers say.", callback=address)
    ] = "",
    simulator: Annotated[
        str, typer.Option(help="The URL of the simulator that it takes for its carriers.", callback=address)
    ] = "",
    stay: Annotated[
        bool, typer.Option("--stay", help="Make a user of the desk, and go on running until Ctrl-C.")
    ] = False,
) -> None:
    """Send a whole broadcast on this machine, with simulated carriers, and judge it."""
    if stay and (against or simulator):
        raise typer.BadParameter("--stay is for a demo that runs everything itself, without --against and --simulator")
    if not against and not simulator:
        raise typer.Exit(0 if asyncio.run(run(seed, stay=stay)) else 1)
    if not against or not simulator:
        raise typer.BadParameter("--against and --simulator go together")
    key = named("API_KEYS").split(",")[0].strip()
    if not key:
        raise SettingsError("BROADSHEET_API_KEYS is not set")
    raise typer.Exit(0 if asyncio.run(run_against(against, key, simulator)) else 1)


@app.command()
def up(
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Simulated carriers instead of Missive and Twilio.")
    ] = False,
    senders: Annotated[int, typer.Option(min=1, max=20, help="How many senders.")] = 1,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    running = recorded()
    if running is not None:
        errors.print(f"It runs already: {running.api_url} (see {RUN_FILE}).")
        raise typer.Exit(1)
    if not simulator and not all_given():
        simulator = _simulator_instead()
    asyncio.run(_up(simulated=simulator, senders=senders))


def _simulator_instead() -> bool:
    """Offer simulated carriers to whoever has set nothing. Raise SettingsError unless they are taken."""
    offer = "simulated carriers, where nothing leaves this machine"
    if somebody_is_there() and typer.confirm(f"No account is set. Run with {offer}?", default=True):
        return True
    raise SettingsError(
        f"No account is set: put yours into .env (README, docs/settings.md), or take {offer}: make up ARGS=--simulator"
    )


async def _up(*, simulated: bool, senders: int) -> None:
    ended = told_to_end()

    def tell(text: str) -> None:
        console.print(f"· {text}", soft_wrap=True)  # an address stays in one piece

    configuration: dict[str, object] | None = {} if simulated else None
    if not simulated:
        _check_settings()
    async with everything(settings={}, simulator=configuration, tell=tell, senders=senders) as (running, _):
        tell(f"the API is at {running.api_url}, described at {running.api_url}/schema")
        key = "that of BROADSHEET_API_KEYS" if named("API_KEYS") else f"in {FOLDER / 'api_key'}"
        tell(f"its key is {key}, the logs are in {running.logs}")
        tell(f"the desk is at {running.desk_url}: `broadsheet users create` makes who may sign in")
        if running.simulator_url:
            tell(f"the carriers are SIMULATED, at {running.simulator_url}: nothing leaves this machine")
        tell("Ctrl-C ends it")
        await ended.wait()
        tell("ending: what was started gets its answer first")


def _check_settings() -> None:
    """Raise SettingsError for what the services would refuse, apart from what `up` brings along itself."""
    brought = {"database_url": "postgresql://", "amqp_url": "amqp://localhost/"}
    try:
        load(CarrierSettings, **brought)
        load(ApiSettings, **brought, api_keys=("0" * 16,))
    except SettingsError as error:
        raise SettingsError(f"{error}\nTo try it without accounts: broadsheet up --simulator") from error


@tables.command()
def upgrade(revision: str = "head", as_json: Json = False) -> None:
    """Bring the schema to this release, or to a revision.

    Return the services' role its rights where it owns nothing.
    """
    services, owner = database_url(), migration_url()
    role = grants.role_of(services)
    is_another = role not in ("", grants.role_of(owner))
    if is_another:
        grants.prepare(owner, role)
    migrate(owner, revision)
    if is_another:
        grants.grant(owner, role)
    say(f"The schema is at {revision}.", {"revision": revision}, as_json=as_json)


@tables.command()
def downgrade(revision: str, yes: Yes = False, as_json: Json = False) -> None:
    """Take the schema back to a revision, or to `base`, which drops everything; after asking."""
    what = "Drop everything in" if revision == "base" else f"Take the schema back to {revision} in"
    agree(f"{what} {place(migration_url())}?", yes=yes)
    migrate(migration_url(), revision)
    say(f"The schema is at {revision}.", {"revision": revision}, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at settings, database, broker, delays and carriers, and say what to do about each."""
    raise typer.Exit(0 if asyncio.run(examine(as_json=as_json)) else 1)


def main() -> None:
    """Run the command line; what goes wrong is told in a line or two, with exit status 1, or 2 for settings."""
    for noisy in ("aiormq", "aio_pika"):  # they tell what we tell, with a traceback
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    never_fail_to_encode()
    try:
        app()
    except (SettingsError, NoApi) as error:
        errors.print(str(error), soft_wrap=True)
        sys.exit(2)
    except (ApiError, DidNotStart) as error:
        errors.print(str(error), soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
