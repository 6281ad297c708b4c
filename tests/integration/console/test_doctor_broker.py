"""`broadsheet doctor` does on the broker what the services do, and says what they would fail on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aio_pika import Message
from yarl import URL

from libs.common.messaging import broker_setup, dead_letters, delays
from libs.console import broker_checks
from libs.local.rabbitmq import RabbitMQ
from tests.support import broker, nodes
from tests.support.ports import HOST, free_port

OURS = r"^(broadsheet|planner|sender|twilio_sync)\..*"
EVERYTHING = ".*"
#: A key and a certificate for 127.0.0.1 that they have signed themselves.
CERTIFY = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1"
    " -keyout server.key -out server.pem"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a server's key and certificate."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(CERTIFY.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, certificate: Path, tls_port: int) -> Iterator[RabbitMQ]:
    """A broker with a second port for TLS, virtual hosts `shared` and `empty`, and a user without any permission."""
    tls = (
        f"listeners.ssl.local = {HOST}:{tls_port}\nssl_options.cacertfile = {certificate}/server.pem\n"
        f"ssl_options.certfile = {certificate}/server.pem\nssl_options.keyfile = {certificate}/server.key\n"
    )
    made = nodes.node(tmp_path_factory.mktemp("node") / "rabbitmq", configuration=tls)
    made.start()
    made.control("add_vhost", "shared")
    made.control("add_vhost", "empty")
    made.control("add_user", "us", "secret")
    yield made
    made.stop(immediate=True)


async def look(url: object, **settings: str) -> tuple[bool, str]:
    """Have the doctor look at a broker of one node."""
    given = broker.settings("postgresql://nobody/", str(url), **settings)
    [(_, check)] = broker_checks.checks(given)
    _, well, words = await check(given)
    return well, words


def ours(node: RabbitMQ) -> URL:
    return URL(node.url).with_user("us").with_password("secret").with_path("/shared")


@pytest.mark.parametrize(
    ("permissions", "on_an_empty_broker", "on_one_that_was_in_use"),
    [
        (("^$", EVERYTHING, EVERYTHING), "configure", "configure"),
        ((EVERYTHING, "^$", EVERYTHING), "write", "write"),
        # To make a queue that has dead letters asks for both on the queue; the broker does not say which one it missed.
        ((EVERYTHING, EVERYTHING, "^$"), "configure or read", "read"),
        ((r"^broadsheet\..*", EVERYTHING, EVERYTHING), "configure or read", "configure or read"),
    ],
)
async def test_a_user_without_a_permission_is_told_of_before_a_service_fails_on_it(
    node: RabbitMQ, permissions: tuple[str, str, str], on_an_empty_broker: str, on_one_that_was_in_use: str
) -> None:
    """The doctor passed a user who may declare nothing, and then said "configure" whatever was missing."""
    await broker_setup.set_up(node.url, "auto")
    in_use = URL(node.url).with_user("us").with_password("secret")
    for url, host, lacks in (
        (in_use.with_path("/empty"), "empty", on_an_empty_broker),
        (in_use, "/", on_one_that_was_in_use),
    ):
        node.control("set_permissions", "--vhost", host, "us", *permissions)
        well, words = await look(url)
        assert not well
        assert f"lacks the permission to {lacks}:" in words


async def test_the_permissions_that_the_documentation_names_are_enough(node: RabbitMQ) -> None:
    node.control("set_permissions", "--vhost", "shared", "us", OURS, rf"{OURS}|^amq\.default$", OURS)
    assert await look(ours(node)) == (True, f"RabbitMQ {version(node)}; steps are delayed by the {await mode(node)}")
    async with broker.publishing(str(ours(node))) as publisher:
        await publisher.publish(Message(b"?"), exchange="broadsheet.dead", routing_key="planner")
    assert len(await dead_letters.browse(str(ours(node)))) == 1
    documented = (Path(__file__).parents[3] / "docs" / "connections.md").read_text()
    assert f"OURS='{OURS}'" in documented
    assert r'"$OURS" "$OURS|^amq\.default$" "$OURS"' in documented


async def test_a_plugin_that_is_asked_for_and_absent_is_told_of(node: RabbitMQ) -> None:
    well, words = await look(node.url, delays="plugin")
    assert not well
    assert "x-delayed-message" in words


async def test_a_wrong_password_a_virtual_host_that_is_not_there_and_a_broker_that_is_off_are_told_apart(
    node: RabbitMQ,
) -> None:
    found = [
        await look(URL(node.url).with_password("wrong")),
        await look(URL(node.url).with_path("/nowhere")),
        await look(URL(node.url).with_port(free_port())),
    ]
    assert [well for well, _ in found] == [False] * 3
    for (_, words), says in zip(found, ("password", "virtual host", "connect call failed"), strict=True):
        assert says in words.lower()


async def test_a_broker_with_an_alarm_is_told_of(node: RabbitMQ) -> None:
    node.control("set_vm_memory_high_watermark", "0")
    try:
        well, words = await look(node.url)
    finally:
        node.control("set_vm_memory_high_watermark", "0.6")
    assert not well
    assert "takes no messages" in words


async def test_the_broker_may_have_a_certificate_of_an_authority_of_ones_own(
    node: RabbitMQ, certificate: Path, tls_port: int
) -> None:
    url = URL(node.url).with_scheme("amqps").with_port(tls_port)
    well, words = await look(url)
    assert (well, "not trusted" in words, "cafile" in words) == (False, True, True)
    well, _ = await look(url.with_query(cafile=str(certificate / "server.pem")))
    assert well


async def test_a_queue_that_is_in_use_is_left_alone(node: RabbitMQ) -> None:
    """To take from it would have its messages counted as handed out."""
    async with broker.publishing(node.url) as publisher:
        await publisher.publish(Message(b"?"), exchange="broadsheet.commands", routing_key="SendBatch")
    assert (await look(node.url))[0]
    [message] = await broker.messages(node.url, "sender.SendBatch")
    assert not message.redelivered


def version(node: RabbitMQ) -> str:
    return node.control("eval", "io:format(rabbit_misc:version()).").removesuffix("ok").strip()


async def mode(node: RabbitMQ) -> delays.Mode:
    return await broker_setup.set_up(node.url, "auto")
