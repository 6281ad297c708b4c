"""A restore rehearsed: backup, loss of the data, recovery to a point in time, reconciliation, and on to the end."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.console.ledger_check import judge
from tests.containers import support
from tests.containers.broadcasts import FIRST, SECOND, schedule, state
from tests.containers.support import ENVIRONMENT, ROOT, SERVICES, Stack

RECIPIENTS = 50
RATE = 4  # messages a second: what happens while messages leave has to happen in time
SETTLE = 180.0  # seconds
POSTGRES = ("exec", "--no-TTY", "postgres")
BACKUP = (*POSTGRES, "sh", "/etc/broadsheet/backup.sh")
RECOVER = (
    "run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "sh", "postgres", "/etc/broadsheet/recover.sh"
)  # fmt: skip
SOMEBODY, OURS = "+13135550177", "+13135550100"


@pytest.fixture(scope="module")
def backed_up(folder: Path, image: str) -> Iterator[Stack]:
    """All services with an archive, and a base backup from before they did anything."""
    with support.stack(folder, image, SEND_RATE=str(RATE)) as stack:
        stack.files = ["docker-compose.yml", "docker-compose.backup.yml"]
        stack.start()
        stack.run(*BACKUP)
        yield stack


@dataclass(frozen=True)
class Before:
    """Two times; somebody said STOP between them. The first is before a backup that the second is after."""

    early: str
    late: str


@pytest.fixture(scope="module")
def before(backed_up: Stack) -> Before:
    """A server that is lost while the end of its log is not archived."""
    stack = backed_up
    early = a_later_second()
    for _ in range(5):
        sql(stack, "SELECT pg_logical_emit_message(true, '', '')")
        sql(stack, "SELECT pg_switch_wal()")
    stack.run(*BACKUP)
    stack.simulate("POST", "/inbound", {"from": SOMEBODY, "to": OURS, "body": "STOP"})
    support.until(lambda: has_stopped(stack), what="the opt-out")
    late = a_later_second()
    sql(stack, "SELECT pg_logical_emit_message(true, '', '')")
    stack.run("kill", "postgres", *SERVICES)
    return Before(early=early, late=late)


def sql(stack: Stack, statement: str) -> str:
    return stack.run(*POSTGRES, "psql", "--username=postgres", "--dbname=broadsheet", "-qAtc", statement).strip()


def has_stopped(stack: Stack) -> bool:
    return sql(stack, f"SELECT count(*) FROM opt_outs WHERE phone_number = '{SOMEBODY}'") == "1"


def sent(stack: Stack, body: str) -> list[str]:
    """Return who got a message, by the carrier's ledger."""
    return [message["to"] for message in stack.simulate("GET", "/ledger")["messages"] if message["body"] == body]


def a_later_second() -> str:
    """Return a time that all before it is before, and all after it after, as the script takes it."""
    time.sleep(1)
    point = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1)
    return point


def restore(stack: Stack, point: str, *, without: str = "nothing") -> str:
    """Call the script as an operator does, and give what it says; compose fails when it is to do what has this word."""
    command = " ".join(stack.compose.docker_compose_command())
    failing = stack.deployment / "compose"
    failing.write_text(f'case "$*" in *{without}*) exit 1; esac\nexec {command} "$@"\n')
    ended = subprocess.run(
        ["sh", "deploy/postgres/restore.sh", point], capture_output=True, text=True, cwd=ROOT,
        env={**ENVIRONMENT, "COMPOSE": f"sh {failing}"}, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def since(said: str) -> str:
    """Return the time that the script tells to ask the carrier's log from."""
    return said.rpartition("--since ")[2].split()[0]


def test_nobody_is_texted_twice_after_the_data_was_lost_and_restored_to_an_earlier_point(backed_up: Stack) -> None:
    stack = backed_up
    stack.simulate("PUT", "/config", {"plan": {"reply": 0, "stop": 0}})
    with stack.api() as client:
        broadcast_id = schedule(client, RECIPIENTS)
        support.until(lambda: len(sent(stack, FIRST)) >= 15, what="some first messages")
        point = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = int(sql(stack, "SELECT count(*) FROM outgoing_messages WHERE state = 'accepted'"))
        support.until(lambda: len(sent(stack, FIRST)) >= 30, what="more first messages")
        # What Missive still has, Twilio does not take any more once its recipient said STOP.
        messages = stack.simulate("GET", "/ledger")["messages"]
        sender = next(message for message in reversed(messages) if message["handed_over_at"] is not None)
        stopped = sender["to"]
        stack.simulate("POST", "/inbound", {"from": stopped, "to": sender["from"], "body": "STOP"})
        archived = sql(stack, "SELECT pg_walfile_name(pg_switch_wal())")
        support.until(
            lambda: sql(stack, "SELECT last_archived_wal FROM pg_stat_archiver") >= archived, what="the archive"
        )
        support.until(lambda: len(sent(stack, SECOND)) >= 5, what="some second messages")
    stack.run("kill", "postgres")
    stack.run("rm", "--force", "--stop", *SERVICES, "postgres")
    support.docker("volume", "rm", f"{stack.project}_postgres")
    left = len(sent(stack, FIRST)) + len(sent(stack, SECOND))

    begun = time.monotonic()
    said = restore(stack, point)
    assert "reconcile --since" in said
    took = time.monotonic() - begun
    assert int(sql(stack, "SELECT count(*) FROM outgoing_messages WHERE state = 'accepted'")) <= known + RATE < left
    stack.start()
    time.sleep(5)  # five rounds of the watchdog
    assert len(sent(stack, FIRST)) + len(sent(stack, SECOND)) == left, "held"
    reconcile = ("run", "--rm", "--no-TTY", "--no-deps", "cli", "reconcile", "--since", since(said))

    def reconciled() -> bool:
        # Somebody has nothing to do with it and writes: until the log shows something newer, it is not believed.
        stack.simulate("POST", "/inbound", {"from": "+12485550001", "to": sender["from"], "body": "Hello?"})
        return "Broadcasts go on." in stack.run(*reconcile, check=False)

    support.until(reconciled, what="the log to be believed")
    with stack.api() as client:
        support.until(
            lambda: state(client, broadcast_id) == "completed", what="the end of the broadcast", seconds=SETTLE
        )
        planned = client.all(f"/broadcasts/{broadcast_id}/messages")
    verdict = judge(planned, (FIRST, SECOND), stack.simulate("GET", "/ledger"))
    assert verdict.holds, verdict
    assert len(planned) == 2 * RECIPIENTS
    assert stopped not in sent(stack, SECOND)
    print(f"restored after {took:.0f} s")  # noqa: T201 - a figure for docs/postgresql.md


def test_a_later_time_has_what_was_so_then_although_an_earlier_one_was_restored_to_before(
    backed_up: Stack, before: Before
) -> None:
    stack = backed_up
    stack.run(*RECOVER, before.early)
    said = restore(stack, before.late)
    assert has_stopped(stack)
    # From the last that is in it, whatever was asked for.
    asked_for = datetime.fromisoformat(before.late)
    assert datetime.fromisoformat(since(said)) < asked_for - timedelta(seconds=60)
    assert sql(stack, "SELECT reconciled_at IS NULL FROM restored") == "t"


def test_a_restore_that_fails_before_the_database_is_held_leaves_one_that_takes_no_changes(
    backed_up: Stack, before: Before
) -> None:
    stack = backed_up
    stack.run("stop", "postgres")
    stack.run(*RECOVER, before.early)
    # The newest backup is of what came later than the time to which it was restored now.
    with pytest.raises(AssertionError, match="NOT HELD"):
        restore(stack, "latest", without="migrate")
    [postgres] = stack.containers("postgres")
    assert not stack.inspect(postgres)["State"]["Running"]
    stack.start("postgres", needed=False)
    assert not has_stopped(stack)
    with pytest.raises(AssertionError, match="read-only"):
        sql(stack, "UPDATE outgoing_messages SET state = state")


def test_the_oldest_backups_go_and_the_archive_that_only_they_need(backed_up: Stack) -> None:
    stack = backed_up

    def there(folder: str) -> list[str]:
        return stack.run(*POSTGRES, "ls", f"/var/lib/postgresql/{folder}").split()

    first = there("base")[0]
    for _ in range(2):
        sql(stack, "SELECT pg_switch_wal()")
        stack.run(*BACKUP, "2")
        kept = there("base")
        assert len(kept) == 2
        assert first not in kept
        labels = [stack.run(*POSTGRES, "cat", f"/var/lib/postgresql/base/{name}/backup_label") for name in kept]
        needed = [label.partition("(file ")[2].partition(")")[0] for label in labels]
        segments = [name for name in there("wal") if len(name) == len(needed[0])]
        assert set(needed) <= set(segments)
        # By the place in the log: a restore begins another timeline, whose number comes first in the name.
        assert min(name[8:] for name in segments) == min(name[8:] for name in needed)


def test_a_time_before_the_first_backup_changes_nothing(backed_up: Stack) -> None:
    with pytest.raises(AssertionError, match="no base backup from before"):
        restore(backed_up, "2020-01-01T00:00:00Z")
    backed_up.start("postgres", needed=False)
    assert sql(backed_up, "SELECT state FROM broadcasts ORDER BY id LIMIT 1") == "completed"
