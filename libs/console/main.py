"""`broadsheet`: the command line."""

import asyncio
import logging
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from libs.common.errors import SettingsError
from libs.common.migrate import migrate
from libs.common.settings import ApiSettings, CarrierSettings, load
from libs.console import demo as demonstration
from libs.console import doctor as examination
from libs.console.broadcasts import broadcasts, contacts, erase, segments, stop_now
from libs.console.client import ApiError, NoApi
from libs.console.reconciling import mark_restored, settle_restored
from libs.console.repair import letters, prune, rebuild_tables
from libs.console.running import FOLDER, RUN_FILE, everything, named, recorded, servers
from libs.console.supervisor import DidNotStart

console = Console()
errors = Console(stderr=True)
app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="SMS broadcasts: nobody twice, nobody lost."
)
tables = typer.Typer(no_args_is_help=True, help="The schema.")
app.add_typer(tables, name="db")
app.add_typer(broadcasts, name="broadcast")
app.add_typer(segments, name="segments")
app.add_typer(contacts, name="contacts")
app.add_typer(letters, name="dead-letters")
app.command("rebuild")(rebuild_tables)
app.command("prune")(prune)
app.command("restored")(mark_restored)
app.command("reconcile")(settle_restored)
app.command("stop-now")(stop_now)
app.command("erase")(erase)


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="What the handsets do.")] = 7,
    against: Annotated[str, typer.Option(help="The URL of an API that runs already, in containers say.")] = "",
    simulator: Annotated[str, typer.Option(help="The URL of the simulator that it takes for its carriers.")] = "",
) -> None:
    """Send a whole broadcast on this machine, with simulated carriers, and judge it."""
    if not against and not simulator:
        raise typer.Exit(0 if asyncio.run(demonstration.run(seed)) else 1)
    if not against or not simulator:
        raise typer.BadParameter("--against and --simulator go together")
    key = named("API_KEYS").split(",")[0].strip()
    if not key:
        raise SettingsError("BROADSHEET_API_KEYS is not set")
    raise typer.Exit(0 if asyncio.run(demonstration.run_against(against, key, simulator)) else 1)


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
    asyncio.run(_up(simulated=simulator, senders=senders))


async def _up(*, simulated: bool, senders: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    def tell(text: str) -> None:
        console.print(f"· {text}", highlight=False)

    configuration: dict[str, object] | None = {} if simulated else None
    if not simulated:
        _check_settings()
    async with everything(settings={}, simulator=configuration, tell=tell, senders=senders) as (running, _):
        tell(f"the API is at {running.api_url}, described at {running.api_url}/schema")
        tell(f"its key is in {FOLDER / 'api_key'}, the logs are in {running.logs}")
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
def upgrade(revision: str = "head") -> None:
    """Bring the schema to this release, or to a revision."""
    migrate(servers()["database_url"], revision)
    console.print(f"The schema is at {revision}.")


@tables.command()
def downgrade(revision: str) -> None:
    """Take the schema back to a revision, or to `base`, which drops everything."""
    migrate(servers()["database_url"], revision)
    console.print(f"The schema is at {revision}.")


@app.command()
def doctor() -> None:
    """Look at settings, database, broker, delays and carriers, and say what to do about each."""
    raise typer.Exit(0 if asyncio.run(examination.examine()) else 1)


def main() -> None:
    """Run the command line; what goes wrong is told in a line or two, with exit status 1, or 2 for settings."""
    for noisy in ("aiormq", "aio_pika"):  # they tell what we tell, with a traceback
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    try:
        app()
    except (SettingsError, NoApi) as error:
        errors.print(str(error), highlight=False)
        sys.exit(2)
    except (ApiError, DidNotStart) as error:
        errors.print(str(error), highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
