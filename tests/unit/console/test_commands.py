"""The command line: what it reads, and what it says when something is wrong."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as daytime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from libs.common.errors import SettingsError
from libs.console import audience, broadcasts, local_commands, main, printing, report
from libs.console.broadcasts import stopped
from libs.console.client import LONG, PATIENCE, Client, connect, explain
from libs.console.demo import ZONES, people, zone_of_today
from libs.console.failures import ApiError
from libs.console.inputs import share_of, text_of, time_of
from libs.console.local_stack import database_url

ROOT = Path(__file__).parents[3]


@dataclass
class Recorder:
    """An API that takes what it is sent, and remembers it."""

    bodies: list[Any] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: {"id": 1})

    def call(self, method: str, path: str, **options: Any) -> Any:
        self.calls.append((method, path))
        self.bodies.append(options.get("json"))
        return self.answer


def create(monkeypatch: pytest.MonkeyPatch, run_at: str, first: str = "x") -> tuple[Result, list[Any]]:
    """Run `broadsheet broadcast create`."""
    api = Recorder()
    monkeypatch.setattr(broadcasts, "connect", lambda: api)
    arguments = ["create", "--run-at", run_at, "--first", first, "--second", "y", "--segment", "1"]
    return CliRunner().invoke(broadcasts.broadcasts, [*arguments, "--max-recipients", "10"]), api.bodies


def test_a_draft_needs_no_segment_and_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Recorder()
    monkeypatch.setattr(broadcasts, "connect", lambda: api)
    arguments = ["create", "--run-at", "14:30", "--first", "x", "--max-recipients", "10"]
    made = CliRunner().invoke(broadcasts.broadcasts, [*arguments, "--draft"])
    assert (made.exit_code, api.bodies[0]["draft"], api.bodies[0]["segments"]) == (0, True, [])
    made = CliRunner().invoke(broadcasts.broadcasts, [*arguments, "--draft", "--segment", "1:40"])
    assert (made.exit_code, api.bodies[1]["segments"]) == (0, [{"segment_id": 1, "ratio": 40.0}])
    assert CliRunner().invoke(broadcasts.broadcasts, arguments).exit_code == 2
    assert len(api.bodies) == 2


@pytest.fixture
def at_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine at UTC, as containers are, without a `.env`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_a_time_of_day_is_today_in_the_zone_of_now_and_an_offset_is_kept() -> None:
    here = timezone(timedelta(hours=-5))
    now = datetime(2026, 3, 4, 10, 0, tzinfo=here)
    assert time_of("14:30", now) == datetime(2026, 3, 4, 14, 30, tzinfo=here)
    assert time_of("2026-03-05T14:30:00+01:00", now).utcoffset() == timedelta(hours=1)
    with pytest.raises(typer.BadParameter):
        time_of("half past two", now)


@pytest.mark.parametrize("zone", ["America/Detroit", "Pacific/Auckland", ""])
def test_a_time_of_day_is_one_of_the_organisations_wherever_the_command_runs(
    at_utc: pytest.MonkeyPatch, zone: str
) -> None:
    at_utc.setenv("BROADSHEET_TIMEZONE", zone)
    _, (body,) = create(at_utc, "14:30")
    expected = ZoneInfo(zone or "America/Detroit")
    given = datetime.fromisoformat(body["run_at"])
    assert given.astimezone(expected).time() == daytime(14, 30)
    assert given.utcoffset() == given.astimezone(expected).utcoffset()


@pytest.mark.parametrize(("day", "offset"), [("2030-07-01", "-04:00"), ("2030-12-02", "-05:00")])
def test_a_time_without_an_offset_has_that_of_its_own_day(at_utc: pytest.MonkeyPatch, day: str, offset: str) -> None:
    at_utc.setenv("BROADSHEET_TIMEZONE", "America/Detroit")
    _, (body,) = create(at_utc, f"{day}T14:30")
    assert body["run_at"] == f"{day}T14:30:00{offset}"


@pytest.mark.parametrize("zone", ["Detroit", "../etc/passwd", "America"])
def test_a_zone_that_is_none_is_named_as_the_setting_it_is(at_utc: pytest.MonkeyPatch, zone: str) -> None:
    at_utc.setenv("BROADSHEET_TIMEZONE", zone)
    ended, bodies = create(at_utc, "14:30")
    assert isinstance(ended.exception, SettingsError)
    assert str(ended.exception).startswith("BROADSHEET_TIMEZONE: ")
    assert bodies == []


def test_a_file_that_cannot_be_read_is_told_without_a_traceback(at_utc: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "latin1.txt").write_bytes("¿vienes?".encode("latin-1"))
    for name, reason in (("none.txt", "No such file or directory"), ("latin1.txt", "not UTF-8"), (".", "directory")):
        ended, bodies = create(at_utc, "14:30", f"@{name}")
        assert ended.exit_code == 2
        assert f"{name}: " in ended.output
        assert reason in ended.output
        assert bodies == []


def test_a_files_name_is_never_sent_to_the_terminal_as_a_command(at_utc: pytest.MonkeyPatch) -> None:
    ended, _ = create(at_utc, "14:30", "@\x1b[2J[red]")
    assert "\x1b[2J" not in ended.output
    assert "␛[2J[red]: No such file" in ended.output


def test_a_message_from_a_file_is_taken_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "first.txt"
    path.write_bytes("it's\r\n🙂\n".encode())
    assert text_of(f"@{path}") == "it's\r\n🙂\n"
    assert text_of("plain") == "plain"


def test_a_mark_of_utf8_in_front_of_a_file_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "first.txt"
    path.write_bytes(b"\xef\xbb\xbfVote today")
    assert text_of(f"@{path}") == "Vote today"


def test_a_share_is_a_segment_with_a_percent_a_number_or_everybody() -> None:
    assert share_of("2:12.5") == {"segment_id": 2, "ratio": 12.5}
    assert share_of("2:n=500") == {"segment_id": 2, "count": 500}
    assert share_of("2:all") == {"segment_id": 2, "all": True}
    for wrong in ("everyone", "2:n=many", "2:n=", "2:half", "x:all"):
        with pytest.raises(typer.BadParameter):
            share_of(wrong)


def test_whom_a_broadcast_leaves_out_and_who_fills_up_are_options(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Recorder()
    monkeypatch.setattr(broadcasts, "connect", lambda: api)
    arguments = ["create", "--run-at", "14:30", "--first", "x", "--max-recipients", "10", "--segment", "1:all"]
    rules = ["--exclude", "3", "--exclude", "4", "--fallback", "5", "--cap", "2/7"]
    assert CliRunner().invoke(broadcasts.broadcasts, [*arguments, *rules]).exit_code == 0
    assert {name: api.bodies[0][name] for name in ("segments", "exclude", "fallback", "frequency_cap")} == {
        "segments": [{"segment_id": 1, "all": True}],
        "exclude": [{"segment_id": 3}, {"segment_id": 4}],
        "fallback": {"segment_id": 5},
        "frequency_cap": {"texts": 2, "days": 7},
    }
    assert CliRunner().invoke(broadcasts.broadcasts, [*arguments, "--cap", "often"]).exit_code == 2


def test_who_would_get_a_broadcast_is_said_in_words() -> None:
    exact = {"least": 3, "most": 3}
    found = {
        "gets_it": {"least": 4, "most": 1005},
        "segments": [{"name": "North", "gets_it": exact, "quota": {"least": 5, "most": 5}, "members": 3}],
        "fallback": {"name": "All", "gets_it": exact, "quota": exact, "members": 9},
        "spare": {"least": 0, "most": 2},
        "left_out": [{"reason": "excluded", "people": 7, "sentence": "They are in a group"}],
        "frequency_caps": [{"texts": 3, "days": 7}],
    }
    assert report.expected(found) == [
        "Goes to 4 to 1,005 people.",
        "North: 3 of 5 wanted, of 3 who may get it",
        "All fills up: 3 of 3 missing, of 9 who may get it",
        "Over what is wanted, by lot: 0 to 2",
        "Left out, 7: They are in a group",
        "Nobody gets more than 3 texts in 7 days.",
    ]
    made = {"fallback": {"name": "All", "quota": 4, "drawn": 3}, "left_out": found["left_out"]}
    assert report.drawn(made) == ["All filled up: 3 of 4 missing", "Left out, 7: They are in a group"]


def test_a_problem_is_told_field_by_field() -> None:
    problem = {"title": "x", "detail": "y", "errors": [{"field": "run_at", "message": "lies in the past"}]}
    assert explain(httpx.Response(422, json=problem)) == "run_at: lies in the past"
    assert explain(httpx.Response(404, json={"detail": "there is no broadcast 9"})) == "there is no broadcast 9"
    assert explain(httpx.Response(502, text="<html>")) == "502 Bad Gateway"


def test_an_api_that_has_too_much_to_do_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [httpx.Response(429, headers={"Retry-After": "30"}), httpx.Response(200, json={"imported": 1})]
    asked: list[bytes] = []
    slept: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.read())
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr("libs.console.client.time.sleep", slept.append)
    client = Client("http://api", "key")
    client._http = httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer))
    assert client.call("POST", "/contacts/import", content=b"phone", within=60) == {"imported": 1}
    assert (asked, slept) == ([b"phone", b"phone"], [30])
    asked.clear()
    with pytest.raises(ApiError):  # it has no more than ten seconds
        client.call("POST", "/contacts/import", content=b"phone", within=10)
    assert (len(asked), slept) == (1, [30])
    client.close()


@pytest.mark.parametrize(
    ("action", "waits"), [("pause", PATIENCE), ("cancel", LONG), ("send-now", LONG), ("call-back", LONG)]
)
def test_a_call_is_waited_for_as_long_as_it_may_take(
    monkeypatch: pytest.MonkeyPatch, action: str, waits: float
) -> None:
    waited: list[float] = []

    class Api:
        def call(self, *_: Any, within: float, **__: Any) -> Any:
            waited.append(within)
            return {"id": 1, "broadcast_id": 1, "imported": 0, "rejected": []}

    monkeypatch.setattr(broadcasts, "connect", Api)
    monkeypatch.setattr(audience, "connect", Api)
    arguments = [action, "1", *(["--yes"] if action == "cancel" else [])]
    CliRunner().invoke(broadcasts.broadcasts, arguments, catch_exceptions=False)
    CliRunner().invoke(broadcasts.broadcasts, ["make"], catch_exceptions=False)
    CliRunner().invoke(audience.contacts, ["import", "-"], input="phone\n", catch_exceptions=False)
    assert waited == [waits, LONG, LONG]


def test_a_watcher_waits_the_longer_the_longer_it_takes_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: dict[str, Any] = {"ledger": dict.fromkeys(("planned", "accepted", "uncertain", "undecided"), 0)}
    figures["ledger"] |= {"refused": {}, "skipped": {}}
    figures["pace"] = {"rate": None}
    states = ["sending_first", "sending_first", "completed"]
    now = 0.0
    paused: list[float] = []

    class Api:
        def call(self, *_: Any) -> Any:
            nonlocal now
            now += 3 if len(states) == 2 else 0.01
            told: dict[str, Any] = dict.fromkeys(("replies", "opt_outs", "delivered", "undelivered", "unreachable"), 0)
            told["other_replies"] = {}
            return {"state": states.pop(0), "first": figures, "second": figures, "allowed_rate": 1, **told}

    monkeypatch.setattr(broadcasts, "connect", Api)
    monkeypatch.setattr(broadcasts, "time", SimpleNamespace(monotonic=lambda: now, sleep=paused.append))
    broadcasts.watch(1)
    assert paused == [0.7, pytest.approx(30)]


def cancel(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, terminal: bool, said: str = ""
) -> tuple[Result, list[tuple[str, str]]]:
    """Run `broadsheet broadcast cancel 7`, with or without a person at the terminal."""
    api = Recorder(answer={"id": 7, "state": "sending_first", "first_message": "Vote [/b]\x1b[2J\ntoday"})
    monkeypatch.setattr(broadcasts, "connect", lambda: api)
    monkeypatch.setattr(printing, "somebody_is_there", lambda: terminal)
    return CliRunner().invoke(broadcasts.broadcasts, ["cancel", "7", *arguments], input=said), api.calls


LOOK, DO = ("GET", "/broadcasts/7"), ("POST", "/broadcasts/7/cancel")


@pytest.mark.parametrize(
    ("arguments", "terminal", "said", "status", "calls"),
    [
        ((), True, "y\n", 0, [LOOK, DO]),
        ((), True, "\n", 1, [LOOK]),
        ((), False, "y\n", 2, [LOOK]),
        (("--yes",), False, "", 0, [DO]),
    ],
)
def test_a_broadcast_is_cancelled_only_when_somebody_said_yes(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], terminal: bool, said: str, status: int, calls: Any
) -> None:
    ended, made = cancel(monkeypatch, *arguments, terminal=terminal, said=said)
    assert (ended.exit_code, made) == (status, calls)
    if LOOK in made:
        assert "Cancel broadcast 7 (sending_first, “Vote [/b]␛[2J⏎today”) for good?" in " ".join(ended.output.split())


@pytest.mark.parametrize("hour", range(24))
def test_the_demo_always_finds_a_zone_whose_day_goes_on(hour: int) -> None:
    assert zone_of_today(datetime(2026, 7, 1, hour, 57, tzinfo=UTC)) in ZONES


def test_the_demos_people_are_in_overlapping_groups() -> None:
    rows = [row.rsplit(",", 1)[1].split(";") for row in people().splitlines()[1:]]
    assert len(rows) == 300
    assert any(len(tags) == 3 for tags in rows)
    assert all(rows)


def test_stop_now_says_what_stopped_what_may_still_arrive_and_what_will_begin() -> None:
    upcoming = {"broadcast_id": 9, "run_at": "2026-03-04T16:00:00Z"}
    said = "\n".join(stopped({"paused": [7], "not_stopped": [8], "scheduled": [upcoming], "under_way": 3}))
    for part in ("Paused: broadcast 7", "NOT STOPPED: broadcast 8", "still arrive: 3", "broadsheet broadcast cancel 9"):
        assert part in said
    assert "Nothing was" in stopped({"paused": [], "not_stopped": [], "scheduled": [], "under_way": 0})[0]


def test_a_database_url_that_cannot_be_read_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_DATABASE_URL", "postgresql://user:pa%ss@host/db")
    monkeypatch.setenv("BROADSHEET_AMQP_URL", "amqp://localhost/")
    with pytest.raises(SettingsError, match="BROADSHEET_DATABASE_URL") as caught:
        database_url()
    assert "pa%ss" not in str(caught.value)


def test_up_asks_for_no_setting_that_it_brings_along_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env is
    for name in [name for name in os.environ if name.startswith("BROADSHEET_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as caught:
        local_commands._check_settings()
    assert "BROADSHEET_FROM_NUMBER" in str(caught.value)
    assert "AMQP_URL" not in str(caught.value)
    assert "DATABASE_URL" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_URL", "http://127.0.0.1:1\x07"), ("API_URL", "http://host:port"), ("API_URL", "127.0.0.1:8000"),
        ("API_KEYS", "k\xe9y-0123456789abcdef"), ("API_KEYS", "key\x1b-0123456789abcdef"),
    ],
)  # fmt: skip
def test_an_address_or_a_key_of_the_api_that_can_be_none_is_named_as_the_setting_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROADSHEET_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("BROADSHEET_API_KEYS", "0123456789abcdef")
    monkeypatch.setenv(f"BROADSHEET_{name}", value)
    with pytest.raises(SettingsError, match=f"BROADSHEET_{name}") as caught:
        connect()
    assert str(caught.value).isprintable()


def test_an_address_that_is_an_argument_and_can_be_none_is_told() -> None:
    ended = CliRunner().invoke(main.app, ["demo", "--against", "http://x\x07", "--simulator", "http://x"])
    assert (ended.exit_code, "no address has" in " ".join(ended.output.split())) == (2, True)
