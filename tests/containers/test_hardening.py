"""What a container could do if somebody got into it: every process, every path, every variable."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from libs.console.client import Client
from libs.console.failures import ApiError
from tests.containers import support
from tests.containers.support import SERVICES, SIMULATED, Stack

OURS = (*SERVICES, "simulator")
THEIRS = ("postgres", "rabbitmq")
#: What runs for one command at a time; here each is a container of its own that waits.
ONCE = ("migrate", "keys", "cli", "demo")
RUNNING = (*OURS, *THEIRS)
OVERLAYS = ("docker-compose.backup.yml", "docker-compose.cluster.yml", "deploy/docker-compose.monitoring.yml")
#: In memory, in every container: the engine makes the latter two.
IN_MEMORY = {"/tmp", "/dev/shm", "/dev/mqueue"}
VOLUMES = {
    "postgres": {"/var/lib/postgresql/data", "/run/postgresql"},
    "rabbitmq": {"/var/lib/rabbitmq"},
    "keys": {"/run/keys"},
}

#: Prints a block a process: its status, which tells its rights, and its environment.
PROCESSES_BY_SHELL = r"""
for folder in /proc/[0-9]*; do
    [ -r "$folder/environ" ] || continue
    printf '\001'; cat "$folder/status"; printf '\002'; tr '\0' '\n' < "$folder/environ"
done 2>/dev/null
"""
#: What may be written to by whoever runs in the container, on every file system but the kernel's own; of folders, the
#: outermost. Devices that everybody may write to, as to /dev/null, are not there to keep anything.
WRITABLE = r"""
find / \( -path /proc -o -path /sys \) -prune -o -writable -not -type l -not -type c -print -prune 2>/dev/null
"""
#: What is anybody's or the app's own, should the root ever be mounted for writing.
LOOSE = "find / -xdev \\( -perm -0002 -o -user $(id -u) -o -group $(id -g) \\) -not -type l -not -path /tmp 2>/dev/null"
SETUID = "find / -xdev -type f -perm /6000 2>/dev/null"


def shell(container: str, command: str) -> str:
    return support.docker("exec", "--interactive", container, "sh", stdin=command, check=False)


def processes(container: str) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the status and the environment of every process but our own shell's."""
    for block in shell(container, PROCESSES_BY_SHELL).split("\x01")[1:]:
        status, _, environment = block.partition("\x02")
        yield dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line), environment


def secrets() -> list[str]:
    """Return every secret, and the passwords within the URLs."""
    found = []
    for path in (SIMULATED / "secrets").iterdir():
        for line in path.read_text().splitlines():
            found += [line, line.rpartition("@")[0].rpartition(":")[2], line.rpartition(" = ")[2]]
    return [secret for secret in found if len(secret) > 12]


@pytest.fixture(scope="module")
def once(running: Stack) -> Iterator[dict[str, str]]:
    """A container for each service that runs for one command at a time."""
    started = {}
    try:
        for service in ONCE:
            command = ("run", "--detach", "--no-deps", "--entrypoint=sleep", service, "600")
            started[service] = running.run(*command).split()[-1]
        yield started
    finally:
        support.docker("rm", "--force", *started.values())


def containers(running: Stack, once: dict[str, str], service: str) -> list[str]:
    return [once[service]] if service in once else running.containers(service)


@pytest.mark.parametrize("service", [*RUNNING, *ONCE])
def test_no_process_is_root_has_a_capability_or_can_gain_one(
    running: Stack, once: dict[str, str], service: str
) -> None:
    for container in containers(running, once, service):
        seen = list(processes(container))
        assert seen
        for status, _ in seen:
            name = status["Name"]
            assert "0" not in status["Uid"].split(), name
            assert "0" not in status["Gid"].split(), name
            for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
                assert int(status[kind], 16) == 0, f"{name}: {kind}"
            assert status["NoNewPrivs"].strip() == "1", name
            assert status["Seccomp"].strip() == "2", name


@pytest.mark.parametrize("service", [*RUNNING, *ONCE])
def test_nothing_outside_memory_and_volumes_can_be_written_to(
    running: Stack, once: dict[str, str], service: str
) -> None:
    for container in containers(running, once, service):
        known = running.inspect(container)
        assert known["HostConfig"]["ReadonlyRootfs"]
        assert not known["HostConfig"]["Privileged"]
        volumes = VOLUMES.get(service, set())
        assert set(shell(container, WRITABLE).split()) == IN_MEMORY | volumes
        mounted = {mount["Destination"].replace("/var/run/", "/run/") for mount in known["Mounts"] if mount["RW"]}
        assert mounted == volumes
        assert shell(container, "echo x > /written && echo yes") == ""


@pytest.mark.parametrize("service", OURS)
def test_our_image_has_no_setuid_program_and_nothing_that_is_the_apps_or_everybodys(
    running: Stack, service: str
) -> None:
    [container] = running.containers(service)
    assert shell(container, SETUID) == ""
    assert shell(container, LOOSE) == ""


@pytest.mark.parametrize("service", [*RUNNING, *ONCE])
def test_no_secret_is_in_any_environment(running: Stack, once: dict[str, str], service: str) -> None:
    assert len(secrets()) > 8
    drawn = running.key()
    for container in containers(running, once, service):
        environments = [environment for _, environment in processes(container)]
        assert any("PATH=" in environment for environment in environments)
        configured = json.dumps(running.inspect(container)["Config"])
        for secret in (*secrets(), drawn):
            assert not [True for environment in environments if secret in environment], f"{service}: {secret}"
            assert secret not in configured


@pytest.mark.parametrize("service", RUNNING)
def test_every_container_is_watched_limited_and_started_again(running: Stack, service: str) -> None:
    for container in running.containers(service):
        known = running.inspect(container)
        assert known["Config"]["Healthcheck"]["Test"]
        assert known["HostConfig"]["Memory"] > 0
        assert known["HostConfig"]["PidsLimit"] > 0
        assert known["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert known["HostConfig"]["CapDrop"] == ["ALL"]
        assert not known["HostConfig"]["CapAdd"]


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_no_compose_file_has_a_service_with_more_rights_or_without_limits(overlay: str) -> None:
    services = support.rendered(*filter(None, [overlay]))
    assert services.keys() >= {*RUNNING, *ONCE}
    for name, service in services.items():
        assert service.get("user", "root").partition(":")[0] not in ("root", "0"), name
        assert service.get("read_only"), name
        assert service.get("cap_drop") == ["ALL"], name
        assert "cap_add" not in service, name
        assert not service.get("privileged"), name
        assert service.get("security_opt") == ["no-new-privileges:true"], name
        assert int(service.get("mem_limit", 0)) > 0, name
        assert int(service.get("pids_limit", 0)) > 0, name
        # Options are a driver's, and an engine may have another one than this as its own.
        assert service.get("logging", {}).get("driver") == "json-file", name
        if name not in ONCE:
            assert service.get("restart") == "unless-stopped", name
            assert service.get("healthcheck", {}).get("test"), name


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_postgresql_may_have_a_process_for_every_connection_and_tells_its_log_little(overlay: str) -> None:
    server = support.rendered(*filter(None, [overlay]))["postgres"]
    settings = dict(word.split("=", 1) for word in server["command"] if "=" in word)
    assert server["pids_limit"] >= int(settings["max_connections"]) + 100
    assert (settings["log_error_verbosity"], settings["log_min_error_statement"]) == ("terse", "panic")


def test_the_services_of_a_cluster_need_no_node_in_particular() -> None:
    services = support.rendered("docker-compose.cluster.yml")
    for name in SERVICES:
        nodes = {other: how for other, how in services[name]["depends_on"].items() if other.startswith("rabbitmq")}
        assert len(nodes) == 3
        assert not [other for other, how in nodes.items() if how["required"]], name


def test_postgresql_logs_that_something_is_wrong_and_not_whose_number_it_was(running: Stack) -> None:
    [container] = running.containers("postgres")
    before = support.logs(container).count("violates check constraint")
    statements = (
        "INSERT INTO contacts (phone_number) VALUES ('313-555-0999');\n"
        "INSERT INTO contacts (phone_number) VALUES ($1) \\bind '313-555-0999' \\g\n"
        "COPY contacts (phone_number) FROM STDIN;\n313-555-0999\n\\.\n"
    )
    support.docker(
        "exec", "--interactive", container, "psql", "--username=broadsheet", "--dbname=broadsheet", stdin=statements
    )
    log = support.logs(container)
    assert log.count("violates check constraint") == before + 3
    assert "555-0999" not in log


def test_only_the_api_and_the_brokers_pages_are_published_and_on_loopback(running: Stack) -> None:
    published = {}
    for service in RUNNING:
        for container in running.containers(service):
            for port, hosts in running.inspect(container)["NetworkSettings"]["Ports"].items():
                for host in hosts or ():
                    published[service, port] = host["HostIp"]
    assert published == {("api", "8000/tcp"): "127.0.0.1", ("rabbitmq", "15672/tcp"): "127.0.0.1"}


def test_the_image_runs_as_nobody_in_particular_without_compose_too(image: str) -> None:
    assert support.docker("run", "--rm", image, "id", "-u").strip() == "10001"


def test_the_key_of_the_simulated_api_is_drawn_once_for_each_installation(running: Stack) -> None:
    key = running.key()
    assert len(key) == 64
    assert not [path for path in SIMULATED.rglob("*") if path.is_file() and key in path.read_text()]
    running.run("up", "--no-deps", "keys")
    assert running.key() == key


def test_the_key_in_the_repository_opens_no_api_that_other_machines_might_reach(running: Stack, image: str) -> None:
    committed = (SIMULATED / "secrets" / "api_keys").read_text().strip()
    with (
        running.api() as client,
        closing(Client(client.url, committed)) as stranger,
        pytest.raises(ApiError, match="key"),
    ):
        stranger.call("GET", "/broadcasts")
    with_it = ("--env=BROADSHEET_API_KEYS_FILE=/run/secrets/api_keys", "api")
    printed = running.run("run", "--rm", "--no-deps", "--no-TTY", *with_it, check=False, errors=True)
    assert "BROADSHEET_API_KEYS is the key of deploy/simulated" in printed


def test_the_secrets_of_each_service_are_those_it_needs(running: Stack) -> None:
    mounted = {
        service: {
            Path(mount["Destination"]).name
            for mount in running.inspect(running.containers(service)[0])["Mounts"]
            if mount["Destination"].startswith("/run/secrets/")
        }
        for service in OURS
    }
    servers = {"database_url", "amqp_url"}
    assert mounted == {
        "api": {"database_url", "api_keys", "missive_webhook_secret", "twilio_auth_token", "oidc_client_secret"},
        "planner": servers | {"missive_token", "smtp_url"},
        "sender": servers | {"missive_token", "twilio_auth_token"},
        "twilio_sync": servers | {"missive_token", "twilio_auth_token"},
        "simulator": {"simulator.json"},
    }
