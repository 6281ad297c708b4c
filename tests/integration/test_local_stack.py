import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import psycopg
import pytest

from libs import local
from libs.local import NotOurs, Stack
from libs.local.stack import end_all

CHECKOUT = Path(__file__).parents[2]
#: RabbitMQ 3.10 writes the name of a new quorum queue to its disk with this delay: one that is killed earlier forgets
#: the queue and what it has confirmed.
NAMES_ARE_WRITTEN = 1.5  # seconds


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with local.start(tmp_path_factory.mktemp("checkout"), ephemeral=True) as stack:
        yield stack


def query(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


async def publish(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue.name)


async def waiting(url: str) -> int | None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        for _ in range(3000):  # a quorum queue that recovers counts nothing before it has a leader
            if queue.declaration_result.message_count:
                break
            await asyncio.sleep(0.02)
            queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        return queue.declaration_result.message_count


def test_what_was_committed_outlives_a_killed_database(stack: Stack) -> None:
    assert stack.postgres
    query(stack.servers.database_url, "CREATE TABLE kept AS SELECT 7 AS value")

    stack.postgres.kill()
    stack.postgres.start()

    assert query(stack.servers.database_url, "SELECT value FROM kept") == 7


def test_a_database_that_is_restarted_at_once_keeps_its_address(stack: Stack) -> None:
    assert stack.postgres
    before = stack.servers

    stack.postgres.restart(immediate=True)

    assert (stack.servers, query(before.database_url, "SELECT 7")) == (before, 7)


def test_the_database_allows_as_many_connections_as_the_services_want(stack: Stack) -> None:
    assert query(stack.servers.database_url, "SHOW max_connections") == "200"


async def test_a_confirmed_message_outlives_a_killed_broker_but_not_its_disk(stack: Stack) -> None:
    assert stack.rabbitmq
    before = stack.servers
    await publish(before.amqp_url)
    await asyncio.sleep(NAMES_ARE_WRITTEN)

    stack.rabbitmq.kill()
    stack.rabbitmq.start()
    after_the_kill = await waiting(before.amqp_url)
    stack.rabbitmq.wipe()
    stack.rabbitmq.start()
    after_the_wipe = await waiting(before.amqp_url)

    assert (after_the_kill, after_the_wipe, stack.servers) == (1, 0, before)


def test_an_ephemeral_stack_leaves_nothing(tmp_path: Path) -> None:
    with local.start(tmp_path, broker=False, ephemeral=True) as stack:
        postgres = stack.postgres

    assert postgres
    assert not postgres.running()
    assert [path for path in (tmp_path / ".broadsheet").rglob("*") if path.is_file()] == [
        tmp_path / ".broadsheet" / "ephemeral" / "1.lock"
    ]


def test_two_ephemeral_stacks_of_a_checkout_are_apart(tmp_path: Path) -> None:
    with (
        local.start(tmp_path, broker=False, ephemeral=True) as first,
        local.start(tmp_path, broker=False, ephemeral=True) as second,
    ):
        assert first.servers.database_url != second.servers.database_url


def test_a_second_start_shares_the_servers_and_the_last_to_leave_ends_them(tmp_path: Path) -> None:
    first = local.start(tmp_path, broker=False)
    second = local.start(tmp_path, broker=False)
    assert second.postgres
    first.stop()
    after_the_first = second.postgres.running()
    second.stop(remove=True)

    assert (first.shared, second.shared, after_the_first, second.postgres.running()) == (False, True, True, False)


def test_what_was_stored_is_there_after_a_stop(tmp_path: Path) -> None:
    with local.start(tmp_path, broker=False) as stack:
        query(stack.servers.database_url, "CREATE TABLE kept AS SELECT 7 AS value")
    again = local.start(tmp_path, broker=False)
    value = query(again.servers.database_url, "SELECT value FROM kept")
    again.stop(remove=True)

    assert value == 7


def test_the_database_waits_for_its_disk_unless_it_is_ephemeral(tmp_path: Path) -> None:
    stack = local.start(tmp_path, broker=False)
    settings = [query(stack.servers.database_url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    stack.stop(remove=True)

    assert settings == ["on", "on"]


def test_servers_that_a_killed_process_left_are_found_and_ended_by_the_next(tmp_path: Path) -> None:
    killed = start_and_kill(tmp_path)
    stack = local.start(tmp_path, broker=False)
    found = (stack.shared, stack.servers.database_url)
    stack.stop(remove=True)

    assert stack.postgres
    assert (found, stack.postgres.running()) == ((False, killed), False)


def test_servers_that_a_killed_process_left_can_be_ended_without_a_start(tmp_path: Path) -> None:
    url = start_and_kill(tmp_path)

    end_all(tmp_path, remove=True)

    with pytest.raises(psycopg.OperationalError):
        query(url, "SELECT 7")


def test_servers_in_use_are_not_ended_from_elsewhere(tmp_path: Path) -> None:
    stack = local.start(tmp_path, broker=False)
    with pytest.raises(NotOurs, match="is in use"):
        end_all(tmp_path)
    value = query(stack.servers.database_url, "SELECT 7")
    stack.stop(remove=True)

    assert value == 7


def test_a_deep_folder_with_spaces_and_accents_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a folder, é"] * 12)
    deep.mkdir(parents=True)

    with local.start(deep, broker=False, ephemeral=True) as stack:
        assert query(stack.servers.database_url, "SELECT 7") == 7


def start_and_kill(root: Path) -> str:
    """Start a database in another process and kill that; return the address that it had."""
    program = (
        "import sys, time; from pathlib import Path; from libs import local;"
        "print(local.start(Path(sys.argv[1]), broker=False).servers.database_url, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(root)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return url
