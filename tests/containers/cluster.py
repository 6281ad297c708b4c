"""The three nodes of docker-compose.cluster.yml, each at an address of its own, to be killed and cut off.

Clients on this machine talk to the containers' addresses, without the engine's proxy between: what happens to a node
that is cut off is then what happens on a network, silence.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from testcontainers.compose import DockerCompose
from yarl import URL

from tests.containers.support import ROOT, Stack, docker
from tests.support.processes import until

NODES = ("rabbitmq", "rabbitmq-2", "rabbitmq-3")
PATIENCE = 120.0  # seconds for a node to be one of the cluster's again
ADDRESSES = """
networks:
  default:
    ipam: {{config: [{{subnet: {subnet}.0/24}}]}}
services:
"""
ADDRESS = """
  {node}:
    networks: {{default: {{ipv4_address: {address}}}}}
"""


class Cluster(Stack):
    """A compose project of which only the broker's nodes run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "none")
        subnet = f"10.{random.randrange(100, 250)}.{random.randrange(256)}"
        self.addresses = {node: f"{subnet}.{11 + number}" for number, node in enumerate(NODES)}
        self._file = folder / f"{self.project}.yml"
        self._file.write_text(
            ADDRESSES.format(subnet=subnet)
            + "".join(ADDRESS.format(node=node, address=address) for node, address in self.addresses.items())
        )
        urls = [URL(url) for url in (self.deployment / "secrets" / "amqp_urls").read_text().strip().split(",")]
        self._login = (str(urls[0].user), str(urls[0].password))
        #: What a service gets as `BROADSHEET_AMQP_URL`: the secret's URLs, with addresses for names.
        self.amqp_url = ",".join(str(url.with_host(self.addresses[str(url.host)])) for url in urls)

    @property
    def compose(self) -> DockerCompose:
        """Compose with the cluster's file over the first, and the addresses over both."""
        files = ["docker-compose.yml", "docker-compose.cluster.yml", str(self._file)]
        return DockerCompose(ROOT, compose_file_name=files, env_file=str(self._variables))

    def up(self) -> None:
        """Build and start all nodes at once, as `docker compose up` does."""
        self.run("build", "--quiet", NODES[0])
        self.run("up", "--detach", "--no-build", *NODES)

    def kill(self, *nodes: str) -> None:
        """Kill nodes: their processes are gone, their connections are closed by the kernel."""
        docker("kill", *(container for node in nodes for container in self.containers(node)))

    def start_again(self, *nodes: str) -> None:
        """Start nodes that were killed."""
        docker("start", *(container for node in nodes for container in self.containers(node)))

    def cut_off(self, node: str) -> None:
        """Take a node off the network: it goes on, and nobody hears of it."""
        docker("network", "disconnect", f"{self.project}_default", *self.containers(node))

    def bring_back(self, node: str) -> None:
        """Put a node back on the network, where it was."""
        place = ("--ip", self.addresses[node], "--alias", node)
        docker("network", "connect", *place, f"{self.project}_default", *self.containers(node))

    def use_raft(self) -> None:
        """Keep the metadata where RabbitMQ 4.2 keeps it from the start, also on a 4.0 or 4.1 (docs/cluster.md)."""
        [container, *_] = self.containers(NODES[0])
        flags = docker("exec", container, "rabbitmqctl", "--silent", "list_feature_flags", "name", "state")
        if "khepri_db\tenabled" not in flags:
            docker("exec", container, "rabbitmqctl", "enable_feature_flag", "--opt-in", "khepri_db")

    async def ask(self, path: str, *, but: str = "") -> Any:
        """Ask the management of a node, other than `but`; None if none answers."""
        for node in NODES:
            if node != but:
                async with httpx.AsyncClient(auth=self._login, timeout=10, trust_env=False) as client:
                    with suppress(httpx.HTTPError):
                        answer = await client.get(f"http://{self.addresses[node]}:15672/api/{path}")
                        answer.raise_for_status()
                        return answer.json()
        return None

    async def whole(self, *, queues: int = 0) -> float:
        """Wait until all nodes are up, and each of at least so many queues has a member on all of them.

        Gives how many seconds that took.
        """

        async def is_whole() -> bool:
            nodes = await self.ask("nodes")
            found = await self.ask("queues")
            if nodes is None or found is None or sum(node["running"] for node in nodes) < len(NODES):
                return False
            online = [len(queue.get("online", ())) for queue in found if queue.get("type") == "quorum"]
            return len(online) >= queues and all(count == len(NODES) for count in online)

        return await seconds_until(is_whole, seconds=PATIENCE, every=0.5)

    def used_by(self, pid: int) -> Counter[str]:
        """Count a process's connections to each node, as the kernel has them (proc_pid_net(5), proc_pid_fd(5))."""
        names = {address: node for node, address in self.addresses.items()}
        inodes = set()
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
        found: Counter[str] = Counter()
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            _, _, remote, state, *_, inode = line.split()[:10]
            host, port = remote.split(":")
            name = names.get(socket.inet_ntoa(bytes.fromhex(host)[::-1]))
            if name and int(port, 16) == 5672 and state == "01" and inode in inodes:
                found[name] += 1
        return found


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Give three nodes that start, and are removed at the end; their logs are printed if the test fails."""
    made = Cluster(folder)
    try:
        made.up()
        yield made
    except BaseException:
        print(made.run("logs", "--tail=15", check=False))  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        made.close()


async def seconds_until(condition: Callable[[], Awaitable[bool]], *, seconds: float, every: float = 0.1) -> float:
    """Give how long it takes until something holds. Fails after `seconds`."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await until(condition, seconds=seconds, every=every)
    return loop.time() - begun
