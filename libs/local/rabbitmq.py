"""A private RabbitMQ node of the installed `rabbitmq-server`: never the machine's own broker.

It has its own name, ports, data, log, configuration, plugins and cookie, and an Erlang name server (epmd) of its own,
which ends with it. Nothing of it listens beyond the loopback interface. The scripts are called directly, since the
distributions' wrappers of the same names change to another user and read the machine's configuration.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from libs.local import folders, ports, processes
from libs.local.errors import LocalServerError, NotInstalled, StartFailed

START_PATIENCE = 120.0  # seconds; a node alone takes 5 to 10
CONTROL_PATIENCE = 60.0  # seconds for rabbitmqctl, which starts a machine of its own
STOP_PATIENCE = 5.0  # seconds; stores are closed within the first, the rest is plugins that end one by one
START_ATTEMPTS = 3  # another program may take a port between the look and the start
AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
EPMD_KILL = b"\x00\x01k"

SCRIPT_FOLDERS = (
    "/usr/lib/rabbitmq/bin",  # Debian, Fedora
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin",
)
#: Keys that RabbitMQ knows from 3.10 to 4.x: it refuses to start on one that it does not.
CONFIGURATION = """\
listeners.tcp.local = {host}:{ports.amqp}
raft.wal_max_size_bytes = 67108864
"""
MANAGEMENT = """\
management.tcp.ip = {host}
management.tcp.port = {ports.management}
"""
#: The limit of open files is too low for a node on macOS, and in some containers so high that it takes all memory.
LAUNCH = 'ulimit -n 65536 2>/dev/null || ulimit -n 8192 2>/dev/null; exec "$0"'


class RabbitMQ:
    """One RabbitMQ node with its folder."""

    def __init__(
        self,
        folder: Path,
        *,
        management: bool = True,
        port: int | None = None,
        plugins: Sequence[str] = (),
        plugins_folder: str = "",
        configuration: str = "",
    ) -> None:
        self.folder = folder
        #: What is enabled besides; it may be changed between two starts.
        self.plugins = tuple(plugins)
        #: Where there are more plugins than the installed ones.
        self._plugins_folder = plugins_folder
        #: Lines that are added to the node's configuration.
        self._configuration = configuration
        self.lease = folders.Lease(folder.with_name(f"{folder.name}.users"))
        self._identity = folders.identity(folder)
        self._node = f"broadsheet-{self._identity}@localhost"
        self._mark = f"broadsheet-folder-{self._identity}"
        self._management = management
        self._demanded = port
        self._record = folder / "ports.json"
        self._log = folder / "rabbitmq.log"

    @property
    def url(self) -> str:
        """Where the broker is; known once it was started."""
        return f"amqp://guest:guest@{ports.HOST}:{self._ports().amqp}/"

    @property
    def management_url(self) -> str | None:
        """Where to look into the broker with a browser, as guest with the password guest."""
        enabled = (self.folder / "etc" / "enabled_plugins").read_text()
        return f"http://{ports.HOST}:{self._ports().management}/" if "rabbitmq_management" in enabled else None

    @property
    def log(self) -> Path:
        """Where the node writes what it has to say."""
        return self._log

    def running(self) -> bool:
        """Return whether this folder's node runs, whoever started it."""
        return bool(processes.marked(self._mark))

    def start(self) -> None:
        """Start the node, or find it running; connections are accepted afterwards."""
        if self.running():
            self._wait_for_the_one_found()
            return
        script = find_script()
        for attempt in range(1, START_ATTEMPTS + 1):
            last = ports.read(self._record)
            if last is not None:
                _end_name_server(last.names)
            chosen = ports.choose(int(self._identity, 16), demanded=self._demanded, last=last)
            try:
                self._launch(script, chosen)
            except StartFailed:
                if attempt == START_ATTEMPTS or chosen.free():
                    raise
            else:
                return

    def stop(self, *, immediate: bool = False) -> None:
        """End the node and its name server; without leave, as if it had crashed, where `immediate` is said."""
        if immediate:
            self.kill()
        else:
            processes.end(processes.marked(self._mark), ask=signal.SIGTERM, patience=STOP_PATIENCE)
        last = ports.read(self._record)
        if last is not None:
            _end_name_server(last.names)

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on the node and return what it prints. Raise LocalServerError if it fails."""
        script = find_script().with_name("rabbitmqctl")
        done = subprocess.run(  # noqa: S603 - a script that was found, with arguments of our own
            [str(script), *arguments],
            env=self._environment(script, self._ports()),
            capture_output=True,
            text=True,
            timeout=CONTROL_PATIENCE,
            check=False,
        )
        if done.returncode:
            raise LocalServerError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
        return done.stdout.strip()

    def kill(self) -> None:
        """End the node as a power cut would."""
        processes.kill(processes.family(processes.marked(self._mark)))

    def restart(self, *, immediate: bool = False) -> None:
        """End the node and start it again on the same address."""
        self.stop(immediate=immediate)
        self.start()

    def wipe(self) -> None:
        """Kill the node and remove all that it has stored; its address stays."""
        self.stop(immediate=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def remove(self) -> None:
        """Kill the node and remove all that is its own."""
        self.stop(immediate=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ports(self) -> ports.Ports:
        last = ports.read(self._record)
        if last is None:
            raise LocalServerError("The local RabbitMQ has no address before it was started.")
        return last

    def _launch(self, script: Path, chosen: ports.Ports) -> None:
        self._configure(chosen)
        process = processes.spawn(
            ["/bin/sh", "-c", LAUNCH, str(script)], environment=self._environment(script, chosen), log=self._log
        )
        processes.wait_until(
            lambda: _accepts(chosen.amqp), process, name="RabbitMQ", log=self._log, patience=START_PATIENCE
        )

    def _configure(self, chosen: ports.Ports) -> None:
        settings = self.folder / "etc"
        for folder in (self.folder / "home", settings / "conf.d"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        template = CONFIGURATION + (MANAGEMENT if self._management else "")
        (settings / "rabbitmq.conf").write_text(template.format(host=ports.HOST, ports=chosen) + self._configuration)
        (settings / "advanced.config").write_text("[].\n")
        (settings / "environment").write_text("")
        enabled = [*(["rabbitmq_management"] if self._management else []), *self.plugins]
        (settings / "enabled_plugins").write_text(f"[{', '.join(enabled)}].\n")
        self._log.write_text("")
        chosen.write(self._record)

    def _environment(self, script: Path, chosen: ports.Ports) -> dict[str, str]:
        """Return all that the scripts may see, so that nothing is taken from the machine's configuration."""
        settings, data = self.folder / "etc", self.folder / "data"
        homebrew = str(script.parents[3] / "bin") + ":" if script.parts[-4:-2] == ("opt", "rabbitmq") else ""
        more = {"RABBITMQ_PLUGINS_DIR": f"{installed_plugins()}:{self._plugins_folder}"}
        return {
            **(more if self._plugins_folder else {}),
            "PATH": f"{homebrew}/usr/bin:/bin:/usr/sbin:/sbin:{os.environ.get('PATH', '')}",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            # The script becomes the node instead of watching over it: the process that was started is the server.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(chosen.distribution),
            "RABBITMQ_CONF_ENV_FILE": str(settings / "environment"),
            "RABBITMQ_CONFIG_FILE": str(settings / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(settings / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(settings / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(settings / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(data),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(data / "generated"),
            "RABBITMQ_PID_FILE": str(data / "pid"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-kernel inet_dist_use_interface {{127,0,0,1}} -broadsheet {self._mark}"
            ),
            "ERL_EPMD_ADDRESS": ports.HOST,
            "ERL_EPMD_PORT": str(chosen.names),
        }

    def _wait_for_the_one_found(self) -> None:
        """Wait for a node that was found running: whoever started it may have been killed before it was ready."""
        port = self._ports().amqp
        if self._demanded not in (None, port):
            raise LocalServerError(
                f"This checkout's RabbitMQ runs on port {port} already, not on {self._demanded}: "
                "end it first with `python -m libs.local stop`, or use that port."
            )
        deadline = time.monotonic() + START_PATIENCE
        while not _accepts(port):
            if not self.running() or time.monotonic() > deadline:
                raise StartFailed("RabbitMQ", "it was found starting and did not get ready", self._log)
            time.sleep(processes.POLL)


def find_script() -> Path:
    """Return the installed start script, not a wrapper of it that changes to another user."""
    on_path = shutil.which("rabbitmq-server")
    folders_to_look_in = [*SCRIPT_FOLDERS, *([str(Path(on_path).parent)] if on_path else [])]
    prefix = os.environ.get("HOMEBREW_PREFIX")
    if prefix:
        folders_to_look_in.insert(0, f"{prefix}/opt/rabbitmq/sbin")
    for folder in folders_to_look_in:
        script = Path(folder) / "rabbitmq-server"
        if script.exists():
            return script
    raise NotInstalled(
        "RabbitMQ is missing: install it (`apt-get install rabbitmq-server`, `brew install rabbitmq`), "
        "or set BROADSHEET_AMQP_URL to a broker of your own."
    )


def installed_plugins() -> Path:
    """Return the folder of the plugins that were installed with the server."""
    return find_script().resolve().parents[1] / "plugins"


def _accepts(port: int) -> bool:
    """Return whether a broker answers the greeting: it does so only when it takes connections."""
    try:
        with socket.create_connection((ports.HOST, port), timeout=5.0) as connection:
            connection.sendall(AMQP_GREETING)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def _end_name_server(port: int) -> None:
    """Ask the node's own epmd to end; it does so only when no node is known to it any more."""
    for _ in range(20):
        try:
            with socket.create_connection((ports.HOST, port), timeout=1.0) as connection:
                connection.sendall(EPMD_KILL)
                if connection.recv(2) != b"OK":
                    time.sleep(0.05)
        except OSError:
            return
