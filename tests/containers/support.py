"""Broadsheet as `docker compose` starts it, a project of its own a time; and looks into its containers."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from testcontainers.compose import DockerCompose

from libs.console.client import Client

ROOT = Path(__file__).parents[2]
SIMULATED = ROOT / "deploy" / "simulated"
SERVICES = ("api", "planner", "sender", "twilio_sync")
SIMULATOR = "http://127.0.0.1:8090/_simulator"
PATIENCE = 90.0  # seconds in which a container is started anew and healthy
DEMO_PATIENCE = 240.0  # seconds

#: What compose sees of this process's environment: nothing that could point it at an installation.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("BROADSHEET_", "COMPOSE_"))}


def docker(*arguments: str, stdin: str = "", check: bool = True, errors: bool = False) -> str:
    """Run a docker command and give what it prints, with `errors` what it says there, too; fail with what it says."""
    ended = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, check=False
    )
    assert ended.returncode == 0 or not check, f"docker {' '.join(arguments)}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + (ended.stderr if errors else "")


def logs(container: str) -> str:
    """Return what a container has printed."""
    ended = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return ended.stdout.decode(errors="replace")


def rendered(*overlays: str) -> dict[str, Any]:
    """Return all services as compose reads them from its first file with others over it."""
    files = [f"--file={name}" for name in ("docker-compose.yml", *overlays)]
    read = docker("compose", *files, "--profile=*", "config", "--format=json")
    services: dict[str, Any] = json.loads(read)["services"]
    return services


@cache
def why_not() -> str:
    """Return what keeps containers from running here; empty if nothing does."""
    if shutil.which("docker") is None:
        return "Docker is not installed: https://docs.docker.com/engine/install/"
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        return "Docker has no Compose v2: https://docs.docker.com/compose/install/"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return "the Docker engine does not answer: start it, and see that this user may use it"
    return ""


def deployment(folder: Path, **settings: str) -> Path:
    """Make a folder of settings and secrets like deploy/simulated, with some settings changed; return its path."""
    path = folder / f"deployment-{uuid4().hex[:8]}"
    shutil.copytree(SIMULATED, path)
    path.chmod(0o755)
    lines = [f"BROADSHEET_{name}={value}" for name, value in settings.items()]
    (path / "settings.env").write_text((path / "settings.env").read_text() + "\n".join([*lines, ""]))
    return path


class Stack:
    """A compose project with the simulator."""

    def __init__(self, folder: Path, image: str, **settings: str) -> None:
        self.project = f"broadsheet-test-{uuid4().hex[:8]}"
        self.deployment = deployment(folder, **settings)
        #: The compose files; what comes later changes what came before.
        self.files = ["docker-compose.yml"]
        self._variables = folder / f"{self.project}.env"
        known = {
            "COMPOSE_PROJECT_NAME": self.project,
            "BROADSHEET_IMAGE": image,
            "BROADSHEET_DEPLOYMENT": str(self.deployment),
            "BROADSHEET_API_PUBLISHED": "127.0.0.1:0",
            "BROADSHEET_BROKER_PUBLISHED": "127.0.0.1:0",
        }
        self._variables.write_text("".join(f"{name}={value}\n" for name, value in known.items()))

    @property
    def compose(self) -> DockerCompose:
        """Compose with this project's variables."""
        return DockerCompose(ROOT, self.files, env_file=str(self._variables), profiles=["demo"])

    def run(self, *arguments: str, check: bool = True, errors: bool = False) -> str:
        """Run a compose command and give what it prints."""
        return docker(*self.compose.docker_compose_command()[1:], *arguments, check=check, errors=errors)

    def build(self) -> None:
        """Build both images."""
        self.run("build", "--quiet", "migrate", "rabbitmq")

    def start(self, *services: str, scale: Mapping[str, int] | None = None, needed: bool = True) -> None:
        """Start services, with `needed` those that they need, too, and wait until they are healthy."""
        options = [f"--scale={name}={count}" for name, count in (scale or {}).items()]
        options += [] if needed else ["--no-deps"]
        self.run("up", "--detach", "--no-build", *options, *(services or (*SERVICES, "simulator")))
        self.healthy(*(services or (*SERVICES, "simulator")))

    def healthy(self, *services: str) -> None:
        """Wait until every container of the services is healthy."""
        for service in services:
            for container in self.containers(service):
                until(partial(self._is_healthy, container), what=f"{service} healthy")

    def _is_healthy(self, container: str) -> bool:
        return bool(self.inspect(container)["State"]["Health"]["Status"] == "healthy")

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers."""
        # By the labels that compose gives them, which the engine tells ten times as fast as compose does.
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        found = docker("ps", "--all", "--quiet", *filters).split()
        assert found, f"{service} has no container"
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        known: dict[str, Any] = json.loads(docker("inspect", container))[0]
        return known

    def up(self) -> None:
        """Start all there is, the demo, too, as `docker compose --profile demo up` does; wait until it is healthy."""
        self.run("up", "--detach", "--no-build")
        self.healthy(*SERVICES, "simulator")

    def demo(self) -> str:
        """Wait for the demo that `up` has started and give what it printed; fail unless the verdict holds."""
        [container] = self.containers("demo")

        def is_over() -> bool:
            return bool(self.inspect(container)["State"]["Status"] == "exited")

        until(is_over, what="the demo's end", seconds=DEMO_PATIENCE)
        printed = logs(container)
        assert self.inspect(container)["State"]["ExitCode"] == 0, f"{printed}\n{self.run('logs', '--tail=15')}"
        return printed

    @contextmanager
    def api(self, service: str = "api") -> Iterator[Client]:
        """Yield a client of the published API."""
        port = self.run("port", service, "8000").strip()
        client = Client(f"http://{port}", self.key(service))
        with closing(client):
            yield client

    def key(self, service: str = "api") -> str:
        """Return the API's key, which was drawn for this project alone."""
        [container] = self.containers(service)
        return docker("exec", container, "cat", "/run/keys/api_keys").strip()

    def simulate(self, method: str, path: str, body: object = None) -> Any:
        """Call the simulator's control API, which no port leads to, from within its container."""
        call = (
            "import sys, urllib.request as r\n"
            f"request = r.Request({SIMULATOR + path!r}, sys.stdin.buffer.read() or None, method={method!r},"
            " headers={'Content-Type': 'application/json'})\n"
            "sys.stdout.buffer.write(r.urlopen(request).read())"
        )
        [container] = self.containers("simulator")
        given = "" if body is None else json.dumps(body)
        answer = docker("exec", "--interactive", container, "python", "-c", call, stdin=given)
        return json.loads(answer) if answer else None

    def close(self) -> None:
        """Remove the project's containers, volumes and networks."""
        self.run("down", "--volumes", "--timeout=5", "--remove-orphans", check=False)


@contextmanager
def stack(folder: Path, image: str, **settings: str) -> Iterator[Stack]:
    """Yield a project that is removed at the end; its logs are printed if the test fails."""
    made = Stack(folder, image, **settings)
    try:
        yield made
    except BaseException:
        sys.stdout.write(made.run("logs", "--tail=40", check=False))
        raise
    finally:
        made.close()


def until(condition: Callable[[], bool], *, what: str, seconds: float = PATIENCE, every: float = 0.5) -> float:
    """Wait until the condition holds and give how long that took. Fails after `seconds`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + seconds, f"{what}: not within {seconds:g} s"
        time.sleep(every)
    return time.monotonic() - begun


def needs_docker() -> None:
    """Skip, or fail where the tests were asked for in so many words (`make test-containers`)."""
    if reason := why_not():
        if os.environ.get("BROADSHEET_TEST_CONTAINERS"):
            pytest.exit(reason, returncode=1)
        pytest.skip(reason)
