"""The one way in which commands print.

Names, messages and errors were written by people, and carriers and brokers may say anything. So a plain string is
printed as it is: nothing in it is markup, an emoji's name or a control sequence, and what a terminal would obey or hide
is shown in its place. What is to have a colour is a `rich.text.Text` of our own words.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Control characters but for the line's end and the tab; what turns the direction of message, or is not to be seen;
#: halves of characters, which no terminal can be sent. Joiners stay: names and emoji are written with them.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
#: The same, and more that is no plain text within one line.
LINE_ENDS = re.compile("\r\n|[\n\t]")


def visible(text: str) -> str:
    r"""Return a message with what a terminal would obey or hide shown: `␛` for escape, `\u202e` for a turn."""
    return UNSEEN.sub(_shown, text)


def one_line(text: str) -> str:
    """Return a text as `visible` does, in one line."""
    return visible(LINE_ENDS.sub("⏎", text))


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Printer(Console):
    """A console that takes every plain string for what it says."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as it is to be printed."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False, "highlight": False})

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError: whether a command has failed is not the console's to say."""
        raise BrokenPipeError


console = Printer()
errors = Printer(stderr=True)


def styled(text: str, style: str) -> Text:
    """Return words of our own in a colour."""
    return Text(visible(text), style=style)


def to_json(value: object) -> str:
    """Return JSON, with what a terminal would obey or hide escaped: to a program it is the same."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, indent=2, ensure_ascii=False))


def write_json(value: object) -> None:
    """Print JSON, for programs: in lines as they are, however narrow the terminal is."""
    sys.stdout.write(to_json(value) + "\n")


def show(item: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        write_json(item)
        return
    table = Table(show_header=False)
    for name, value in item.items():
        if value is not None:
            table.add_row(name, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value))
    console.print(table)


def show_all(items: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list."""
    if as_json:
        write_json(items)
        return
    table = Table(*columns)
    for item in items:
        table.add_row(*(one_line("" if item.get(name) is None else str(item[name])) for name in columns))
    console.print(table if items else "There is none.")


def say(text: str, item: Mapping[str, Any], *, as_json: bool) -> None:
    """Print in a sentence what was done, or as JSON what there is now."""
    if as_json:
        write_json(item)
    else:
        console.print(one_line(text))


@contextmanager
def after(done: str) -> Iterator[None]:
    """Print what became of a change that is made: whatever keeps it from being printed, the command has succeeded.

    A command that fails is run again. `done` says in few words what was done, for another way to be told.
    """
    try:
        yield
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - whatever it is, the change is made
        with suppress(Exception):
            sys.stderr.write(f"{visible(done)} (It could not be shown: {type(error).__name__}.)\n")
            sys.stderr.flush()
        # What is still to be written cannot be; the interpreter would say so at its end, by an exit status.
        with suppress(Exception):
            sys.stdout.close()
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it takes the place of one that is closed


def agree(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone. Raise typer.Exit unless a person says yes, or has said `--yes`."""
    if yes:
        return
    if not somebody_is_there():
        errors.print(f"{question}\nNobody is here to be asked, and nothing was done: say --yes.")
        raise typer.Exit(2)
    if not typer.confirm(visible(question)):
        errors.print("Nothing was done.")
        raise typer.Exit(1)


def somebody_is_there() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]


def never_fail_to_encode() -> None:
    """Have characters that the terminal's encoding lacks shown as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
