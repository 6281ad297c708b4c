"""What holds of every command, of one that is added tomorrow, too: `--json`, and a question before what is for good."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import accounts, audience, broadcasts, keywords, main, printing, replies, segments

WITHOUT_JSON = {
    "completion": "a script for a shell",
    "demo": "a show for people; its exit status is the verdict",
    "up": "runs until it is ended",
}

#: What cannot be undone asks first.
ASKS = [
    "broadcast cancel 7",
    "broadcast send-again 7 8 --by Ana",
    "broadcast skip 7",
    "broadcast stop-repeating 7",
    "contacts undo 7",
    "db downgrade base",
    "dead-letters drop --all",
    "dead-letters drop 5e9b",
    "erase +13135550142",
    "keys revoke 7",
    "keywords delete 7",
    "prune --older-than 30",
    "rebuild",
    "segments delete 7",
    "users disable 7",
]

#: What changes something, and does not ask: why not.
NOT_FOR_GOOD = {
    "broadcast call-back": "it is sent by `send-now`",
    "broadcast create": "`cancel`",
    "broadcast make": "`call-back` while the hold lasts, then `cancel`",
    "broadcast pause": "`resume`",
    "broadcast resume": "`pause`",
    "broadcast send-now": "`call-back` while the hold lasts, then `cancel`",
    "broadcast test": "a few phones, which the command itself names",
    "contacts import": "`contacts undo`",
    "contacts opt-in": "`contacts opt-out`",
    "contacts opt-out": "`contacts opt-in`",
    "contacts reachable": "two more failures leave the number out again",
    "db upgrade": "`db downgrade`",
    "dead-letters retry": "what fails again comes back",
    "demo": "servers of its own, removed at the end",
    "keys create": "`keys revoke`",
    "keywords change": "`keywords change`",
    "keywords create": "`keywords delete`",
    "numbers change": "`numbers change`",
    "reconcile": "nothing is removed; it is safe to run again",
    "replies answer": "one text, whose words and reader the command itself names",
    "replies assign": "`assign` to another",
    "replies done": "`reopen`",
    "replies no-opt-out": "`opt-out`",
    "replies opt-in": "`opt-out`",
    "replies opt-out": "`opt-in`",
    "replies read": "nothing is lost",
    "replies reopen": "`done`",
    "restored": "`reconcile` lifts it",
    "segments change": "`segments change`",
    "segments create": "`segments delete`",
    "stop-now": "`broadcast resume`",
    "up": "Ctrl-C",
    "users change": "`users change`",
    "users create": "`users disable`",
    "users enable": "`users disable`",
    "users link": "another link",
    "users sign-out": "they sign in again",
}

LOOKS = {
    "audit", "broadcast audience", "broadcast explain", "broadcast list", "broadcast preflight", "broadcast report",
    "broadcast show",
    "broadcast tests", "broadcast watch", "completion", "consent export", "contacts hours", "contacts imports",
    "contacts unreachable",
    "dead-letters list", "doctor", "history", "keys list", "keywords list", "keywords show",
    "numbers list", "numbers show",
    "replies", "replies export", "replies show", "segments list", "segments preview", "segments show", "users list",
}  # fmt: skip


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Yield every command with its options."""
    beneath = getattr(command, "commands", {})
    if not beneath or command.invoke_without_command:
        yield " ".join(path), {option for parameter in command.params for option in parameter.opts}
    for name, each in beneath.items():
        yield from walk(each, (*path, name))


COMMANDS = dict(each for name in main.COMMANDS for each in walk(main.load(name), (name,)))


@pytest.mark.parametrize("name", main.COMMANDS)
def test_a_command_says_the_same_of_itself_before_it_is_imported(name: str) -> None:
    known = main.load(name)
    assert main.COMMANDS[name].help == " ".join(known.help.split("\n\n")[0].split())


def named(invocation: str) -> str:
    """Return the command of an invocation."""
    words = invocation.split()
    return next(name for n in (2, 1) if (name := " ".join(words[:n])) in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_speaks_json_or_is_said_why_not(command: str) -> None:
    assert ("--json" in COMMANDS[command]) != (command in WITHOUT_JSON)


def test_of_every_command_somebody_has_said_whether_what_it_does_is_for_good() -> None:
    asking = {named(each) for each in ASKS}
    assert sorted([*asking, *NOT_FOR_GOOD, *LOOKS]) == sorted(COMMANDS)
    assert {command for command, options in COMMANDS.items() if "--yes" in options} == asking


class Api:
    """An API that fails the test if something is changed."""

    def call(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        assert method == "GET", f"{method} {path}"
        return {"id": 7, "state": "scheduled", "first_message": "Vote", "name": "east", "word": "news", "imported": 3}


@pytest.mark.parametrize("invocation", ASKS)
def test_nothing_that_is_for_good_is_done_where_nobody_says_yes(
    monkeypatch: pytest.MonkeyPatch, invocation: str
) -> None:
    """What would reach a server fails by itself: this is a unit test."""
    for module in (accounts, audience, broadcasts, keywords, replies, segments):
        monkeypatch.setattr(module, "connect", Api)
    monkeypatch.setattr(printing, "somebody_is_there", lambda: False)
    monkeypatch.setenv("BROADSHEET_DATABASE_URL", "postgresql://localhost/nowhere")
    monkeypatch.setenv("BROADSHEET_AMQP_URL", "amqp://localhost/")
    ended = CliRunner().invoke(main.app, invocation.split(), catch_exceptions=False)
    assert (ended.exit_code, "nothing was done: say --yes" in " ".join(ended.output.split())) == (2, True)
