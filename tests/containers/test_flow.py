"""The whole flow in containers, as compose starts them."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.console.ledger_check import judge
from services.api.contacts.imports import LARGEST
from tests.containers import support
from tests.containers.broadcasts import FIRST, SECOND, schedule, state
from tests.containers.support import Stack

RECIPIENTS = 90
SETTLE = 300.0  # seconds, on a busy machine too
STRANGER = {"from": "+12485550001", "to": "+13135550198", "body": "Are you open today?"}
RATE = 15  # messages a second, as in deploy/simulated/settings.env
JITTER = 0.15  # seconds by which a request may come late to the simulator on a busy machine


def assert_verdict(printed: str) -> None:
    assert "0 twice, 0 lost, 0 after STOP" in printed


def test_a_broadcast_goes_from_make_to_its_report(running: Stack) -> None:
    assert_verdict(running.demo())


def test_commands_have_a_container_with_all_that_they_need(running: Stack) -> None:
    def command(*arguments: str) -> str:
        return running.run("run", "--rm", "--no-deps", "--no-TTY", "cli", *arguments)

    assert "the log can be read" in command()  # doctor, which fails if anything is wrong
    [broadcast, *_] = json.loads(command("broadcast", "list", "--json"))
    assert broadcast["state"] in ("completed", "scheduled")
    assert "No dead letters" in command("dead-letters", "list")
    point = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    assert "Held" in command("restored", "--to", point)

    def log_is_believed() -> bool:
        # Only something that came after the restore shows that the log does not lag.
        running.simulate("POST", "/inbound", STRANGER)
        reconcile = ("cli", "reconcile", "--since", point)
        printed = running.run("run", "--rm", "--no-deps", "--no-TTY", *reconcile, check=False, errors=True)
        assert "Write any SMS" in printed or "Broadcasts go on." in printed
        return "Broadcasts go on." in printed

    support.until(log_is_believed, what="the end of the hold", seconds=SETTLE)


def test_a_file_of_contacts_as_large_as_the_api_takes_is_imported(running: Stack) -> None:
    line = b"no number," + b"x" * 10_000 + b"\n"
    lines = (LARGEST - 10_000) // len(line)
    file = ("people.csv", b"phone_number,name\n" + line * lines, "text/csv")
    with running.api() as client:
        # As a form, which is put aside on the container's small disk in memory.
        imported = client.call("POST", "/contacts/import", files={"file": file})
    assert imported["rejected_count"] == lines


@pytest.fixture
def four_senders(running: Stack) -> Iterator[list[str]]:
    """The containers of four senders; one of them stays."""
    running.start(scale={"sender": 4})
    senders = running.containers("sender")
    try:
        yield senders
    finally:
        support.docker("rm", "--force", *senders[1:])


def test_four_senders_hold_the_pace_of_one_and_nobody_gets_a_message_twice(
    running: Stack, four_senders: list[str]
) -> None:
    assert len(four_senders) == 4
    before = running.simulate("GET", "/requests?kind=missive_send")["totals"]["requests"]
    with running.api() as client:
        broadcast_id = schedule(client, RECIPIENTS)
        support.until(lambda: state(client, broadcast_id) == "completed", what="the end", seconds=SETTLE)
        planned = client.all(f"/broadcasts/{broadcast_id}/messages")
    ledger = running.simulate("GET", "/ledger")
    ledger["messages"] = [message for message in ledger["messages"] if message["body"] in (FIRST, SECOND)]
    verdict = judge(planned, (FIRST, SECOND), ledger)
    assert verdict.holds, verdict
    requests = running.simulate("GET", "/requests?kind=missive_send")
    assert requests["totals"]["violations"] == 0
    times = [request["at"] for request in requests["requests"][before:]]
    assert len(times) > RECIPIENTS
    for first, last in zip(times, times[2 * RATE :], strict=False):
        # 31 requests span 30 intervals; they may come closer by what delays the first of them and not the last.
        assert last - first > 2 - JITTER
    # There are four batches; who gets one is up to the broker.
    assert sum("batch_sent" in support.logs(each) for each in four_senders) > 1


def test_a_sender_whose_container_was_frozen_past_its_lease_is_ended_and_started_again(running: Stack) -> None:
    [sender] = running.containers("sender")
    support.docker("pause", sender)
    time.sleep(5)  # the lease is 3
    support.docker("unpause", sender)
    support.until(lambda: running.inspect(sender)["RestartCount"] > 0, what="a new start")
    running.healthy("sender")


def test_without_a_process_above_it_a_sender_refuses_to_start(running: Stack, image: str) -> None:
    known = running.inspect(running.containers("sender")[0])
    mounts = [f"--volume={m['Source']}:{m['Destination']}:ro" for m in known["Mounts"]]
    network = f"--network={running.project}_default"
    variables = [f"--env={each}" for each in known["Config"]["Env"]]
    name = f"{running.project}-alone"
    command = ("run", "--name", name, network, *mounts, *variables, image, "python", "-m", "services.sender")
    try:
        support.docker(*command, check=False)
        assert "must not be process 1" in support.logs(name)
    finally:
        support.docker("rm", "--force", name)


@pytest.mark.parametrize("mode", ["ladder", "plugin"])
def test_steps_are_delayed_by_either_way(running: Stack, folder: Path, image: str, mode: str) -> None:
    plugins = running.run("exec", "-T", "rabbitmq", "rabbitmq-plugins", "list", "-E", "-m", "-s").split()
    has_plugin = "rabbitmq_delayed_message_exchange" in plugins
    if mode == "plugin" and not has_plugin:
        pytest.skip("this broker image has no delayed-message plugin (RABBITMQ_IMAGE names a stock one)")
    if mode == "ladder" and not has_plugin:
        # The broker offers nothing else, and the tests above went that way.
        assert '"delays": "ladder"' in running.run("logs", "planner")
        return
    with support.stack(folder, image, DELAYS=mode) as stack:
        stack.up()
        assert f'"delays": "{mode}"' in stack.run("logs", "planner")
        assert_verdict(stack.demo())
