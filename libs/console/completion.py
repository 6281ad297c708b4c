"""`broadsheet completion`: a script by which a shell completes commands and options at the tab key."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import shell_complete

NAME = "broadsheet"
#: The variable by which the script asks `broadsheet` itself; typer reads it.
VARIABLE = "_BROADSHEET_COMPLETE"


class Shell(StrEnum):
    """A shell that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell that is to read it.")]
) -> None:
    """Print a script that has a shell complete commands and options: `source <(broadsheet completion bash)`."""
    shell_complete(context.find_root().command, {}, NAME, VARIABLE, f"source_{shell}")
