"""`broadsheet demo` and `up`: all of Broadsheet on this machine."""

import asyncio
from typing import Annotated

import typer

from libs.common.errors import SettingsError
from libs.common.settings import CarrierSettings, load
from libs.common.settings.api import ApiSettings
from libs.console.demo import run, run_against
from libs.console.inputs import address
from libs.console.local_stack import FOLDER, RUN_FILE, named, recorded
from libs.console.printing import console, errors, somebody_is_there
from libs.console.running import all_given, everything, told_to_end


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
