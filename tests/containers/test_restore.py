"""A restore rehearsed: backup, loss of the data, recovery to a point in time, reconciliation, and on to the end."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.console.verdict import judge
from tests.containers import support
from tests.containers.broadcasts import FIRST, SECOND, schedule, state
from tests.containers.support import ENVIRONMENT, ROOT, SERVICES, Stack

RECIPIENTS = 50
RATE = 4  # texts a second: what happens while texts leave has to happen in time
SETTLE = 180.0  # seconds
POSTGRES = ("exec", "--no-TTY", "postgres")
BACKUP = (*POSTGRES, "sh", "/etc/broadsheet/backup.sh")


@pytest.fixture(scope="module")
def backed_up(folder: Path, image: str) -> Iterator[Stack]:
    """All services with an archive, and a base backup from before they did anything."""
    with support.stack(folder, image, SEND_RATE=str(RATE)) as stack:
        stack.files = ["docker-compose.yml", "docker-compose.backup.yml"]
        stack.start()
        stack.run(*BACKUP)
        yield stack


def sql(stack: Stack, statement: str) -> str:
    return stack.run(*POSTGRES, "psql", "--username=broadsheet", "-qAtc", statement).strip()


def sent(stack: Stack, body: str) -> list[str]:
    """Give who got a text, by the carrier's ledger."""
    return [text["to"] for text in stack.simulate("GET", "/ledger")["texts"] if text["body"] == body]


def restore(stack: Stack, point: str) -> str:
    """Call the script as an operator does, and give what it says."""
    command = " ".join(stack.compose.docker_compose_command())
    ended = subprocess.run(
        ["sh", "deploy/postgres/restore.sh", point],
        capture_output=True, text=True, cwd=ROOT, env={**ENVIRONMENT, "COMPOSE": command}, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def test_nobody_is_texted_twice_after_the_data_was_lost_and_restored_to_an_earlier_point(backed_up: Stack) -> None:
    stack = backed_up
    stack.simulate("PUT", "/config", {"plan": {"reply": 0, "stop": 0}})
    with stack.api() as client:
        broadcast_id = schedule(client, RECIPIENTS)
        support.until(lambda: len(sent(stack, FIRST)) >= 15, what="some first texts")
        point = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = int(sql(stack, "SELECT count(*) FROM outgoing_messages WHERE state = 'accepted'"))
        support.until(lambda: len(sent(stack, FIRST)) >= 30, what="more first texts")
        sender = stack.simulate("GET", "/ledger")["texts"][-1]
        stopped = sender["to"]
        stack.simulate("POST", "/inbound", {"from": stopped, "to": sender["from"], "body": "STOP"})
        archived = sql(stack, "SELECT pg_walfile_name(pg_switch_wal())")
        support.until(
            lambda: sql(stack, "SELECT last_archived_wal FROM pg_stat_archiver") >= archived, what="the archive"
        )
        support.until(lambda: len(sent(stack, SECOND)) >= 5, what="some second texts")
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
    since = said.rpartition("--since ")[2].split()[0]
    assert "Broadcasts go on." in stack.run(
        "run", "--rm", "--no-TTY", "--no-deps", "cli", "reconcile", "--since", since
    )
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
    label = stack.run(*POSTGRES, "cat", f"/var/lib/postgresql/base/{kept[0]}/backup_label")
    needed = label.partition("(file ")[2].partition(")")[0]
    segments = [name for name in there("wal") if len(name) == len(needed)]
    assert segments
    assert min(segments) >= needed


def test_a_time_before_the_first_backup_changes_nothing(backed_up: Stack) -> None:
    with pytest.raises(AssertionError, match="no base backup from before"):
        restore(backed_up, "2020-01-01T00:00:00Z")
    backed_up.start("postgres", needed=False)
    assert sql(backed_up, "SELECT state FROM broadcasts ORDER BY id LIMIT 1") == "completed"
