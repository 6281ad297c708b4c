"""`broadsheet`: the command line.

A command's module is imported when the command is called, so that help and a shell's completion, which want names and a
line each, come at once.
"""

import importlib
import logging
import sys
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from libs.common.errors import SettingsError
from libs.console.failures import ApiError, DidNotStart, NoApi
from libs.console.printing import errors, never_fail_to_encode


class Lazy(NamedTuple):
    """A command, or a group of commands, that is imported when it is called."""

    #: Below `libs.console`.
    module: str
    #: A command's function, or a group's `Typer`.
    attribute: str
    #: The first line of its help.
    help: str


#: By name, in the order of the help.
COMMANDS = {
    "broadcast": Lazy("broadcasts", "broadcasts", "Broadcasts: create, look, and what staff do to them."),
    "stop-now": Lazy(
        "broadcasts",
        "stop_now",
        "Pause every broadcast that sends or waits, at once. Exit status 1 if one could not be.",
    ),
    "segments": Lazy("segments", "segments", "The audience's segments."),
    "contacts": Lazy("audience", "contacts", "The people."),
    "erase": Lazy(
        "audience",
        "erase",
        "Erase a person, contact or not: number, name, tags, replies. What was not sent to them will not be.",
    ),
    "replies": Lazy(
        "replies", "replies", "What people wrote back, and likely opt-outs that wait for somebody to look."
    ),
    "keywords": Lazy("keywords", "keywords", "Words by which people sign up."),
    "consent": Lazy("consent", "consent", "The register of every opt-out and opt-in."),
    "history": Lazy(
        "history",
        "history",
        "Say how past broadcasts were answered, the newest first: by broadcast, by segment, and by the hour.",
    ),
    "numbers": Lazy("numbers", "numbers", "Our numbers, and how each sends."),
    "users": Lazy("accounts", "users", "The people who may sign in to the desk."),
    "keys": Lazy("accounts", "keys", "Keys by which programs call the API."),
    "audit": Lazy("accounts", "audit", "Say who did what, the newest first."),
    "demo": Lazy(
        "local_commands", "demo", "Send a whole broadcast on this machine, with simulated carriers, and judge it."
    ),
    "up": Lazy("local_commands", "up", "Run everything on this machine until Ctrl-C."),
    "doctor": Lazy(
        "doctor", "doctor", "Look at settings, database, broker, delays and carriers, and say what to do about each."
    ),
    "db": Lazy("schema", "tables", "The schema."),
    "dead-letters": Lazy("repair", "letters", "Messages that a service could not handle."),
    "rebuild": Lazy(
        "repair",
        "rebuild_tables",
        "Empty the tables that come from events and fill them again, to the same rows; whoever sends meanwhile waits.",
    ),
    "prune": Lazy(
        "repair",
        "prune",
        "Forget numbers and words of old broadcasts and replies for good; figures, history and opt-outs stay.",
    ),
    "restored": Lazy(
        "reconciling",
        "mark_restored",
        "Record that this database was restored to a time: nothing is sent from it before `broadsheet reconcile`.",
    ),
    "reconcile": Lazy(
        "reconciling",
        "settle_restored",
        "Settle everything since a time against the carrier's log, and let broadcasts go on; safe to run again.",
    ),
    "completion": Lazy(
        "completion",
        "completion",
        "Print a script that has a shell complete commands and options: `source <(broadsheet completion bash)`.",
    ),
}


class Commands(TyperGroup):
    """A group whose commands are names with a line of help, until one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, imported, and what it is given."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and load(str(name)), rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SMS broadcasts: nobody twice, nobody lost.",
)
for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help)(lambda: None)


def load(name: str) -> Any:
    """Import a command; return it as typer runs it."""
    module, attribute, _ = COMMANDS[name]
    found = getattr(importlib.import_module(f"libs.console.{module}"), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


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
