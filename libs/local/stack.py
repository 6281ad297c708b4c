"""Both local servers together: started side by side, shared by all who need them, ended by the last one to leave.

Everything lives in `.broadsheet/` of the checkout. A second start, from another terminal or after the first was killed,
finds the servers running and uses them. An ephemeral stack is for one process alone, in a folder of its own, and leaves
nothing.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from libs.local import folders
from libs.local.errors import NotOurs
from libs.local.postgres import Postgres
from libs.local.rabbitmq import RabbitMQ

FOLDER = ".broadsheet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where the servers are; what was not asked for is empty."""

    database_url: str
    amqp_url: str
    management_url: str | None


class Stack:
    """The running servers of one folder."""

    def __init__(
        self, folder: Path, postgres: Postgres | None, rabbitmq: RabbitMQ | None, slot: folders.Lease | None
    ) -> None:
        self.postgres = postgres
        self.rabbitmq = rabbitmq
        #: Whether another process used these servers before this one; it may go on doing so.
        self.shared = False
        self._folder = folder
        self._slot = slot

    @property
    def servers(self) -> Servers:
        """Where they are."""
        return Servers(
            database_url=self.postgres.url if self.postgres else "",
            amqp_url=self.rabbitmq.url if self.rabbitmq else "",
            management_url=self.rabbitmq.management_url if self.rabbitmq else None,
        )

    def start(self) -> None:
        """Start what does not run yet, side by side; where one cannot be had, the other is not left behind."""
        with folders.exclusively(self._lock()):
            try:
                for server in self.parts():
                    server.lease.take()
                    if not server.lease.alone():
                        self.shared = True
                        _check_visible(server)
                _side_by_side([server.start for server in self.parts()])
            except BaseException:
                self.leave(remove=False)
                raise

    def stop(self, *, remove: bool = False) -> None:
        """End the servers that nobody else uses; remove their data where that is said or they are ephemeral."""
        with folders.exclusively(self._lock()):
            self.leave(remove=remove or self._slot is not None)
        if self._slot is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._slot.give_back()

    def leave(self, *, remove: bool) -> None:
        """Stop the servers that nobody else uses, and give back what is held of the others."""
        ours = [server for server in self.parts() if server.lease.held and server.lease.alone()]
        try:
            _side_by_side([server.remove if remove else server.stop for server in ours])
        finally:
            for server in self.parts():
                server.lease.give_back()

    def parts(self) -> list[Postgres | RabbitMQ]:
        """Return the servers that it consists of."""
        return [server for server in (self.postgres, self.rabbitmq) if server is not None]

    def _lock(self) -> Path:
        return self._folder / "lock"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    root: Path,
    *,
    database: bool = True,
    broker: bool = True,
    ephemeral: bool = False,
    management: bool | None = None,
    amqp_port: int | None = None,
) -> Stack:
    """Start the servers of a checkout and return when both take connections.

    An ephemeral stack is this process's alone: PostgreSQL does not wait for the disk, and all is removed at the end.
    The broker's management pages cost two seconds of its start; without a word, an ephemeral one has none.
    """
    folder = root.resolve() / FOLDER
    slot = None
    _make(folder)
    if ephemeral:
        folder, slot = _free_slot(folder / "ephemeral")
    stack = _stack(
        folder,
        database=database,
        broker=broker,
        durable=not ephemeral,
        management=not ephemeral if management is None else management,
        amqp_port=amqp_port,
        slot=slot,
    )
    stack.start()
    return stack


def end_all(root: Path, *, remove: bool = False) -> None:
    """End the servers of a checkout that nobody uses any more, such as those of a process that was killed."""
    folder = root.resolve() / FOLDER
    if not folder.exists():
        return
    stack = _stack(folder)
    with folders.exclusively(folder / "lock"):
        for server in stack.parts():
            if not server.lease.take_whole():
                raise NotOurs(f"{server.folder} is in use: end `broadsheet up` (or demo, or the tests) first.")
        stack.leave(remove=remove)
    _free_slot(folder / "ephemeral")[1].give_back()
    if remove:
        shutil.rmtree(folder)


def _stack(
    folder: Path,
    *,
    database: bool = True,
    broker: bool = True,
    durable: bool = True,
    management: bool = True,
    amqp_port: int | None = None,
    slot: folders.Lease | None = None,
) -> Stack:
    postgres = Postgres(folder / "postgres", durable=durable) if database else None
    rabbitmq = RabbitMQ(folder / "rabbitmq", management=management, port=amqp_port) if broker else None
    return Stack(folder, postgres, rabbitmq, slot)


def _free_slot(parent: Path) -> tuple[Path, folders.Lease]:
    """Return a folder that no living process uses; what a killed one has left in any of them is removed first."""
    _make(parent)
    numbers = [int(path.stem) for path in parent.glob("*.lock") if path.stem.isdigit()]
    free = None
    for number in range(1, max(numbers, default=0) + 2):
        lease = folders.Lease(parent / f"{number}.lock")
        if not lease.take_whole():
            continue
        folder = parent / str(number)
        if folder.exists():
            _side_by_side([server.remove for server in _stack(folder).parts()])
            shutil.rmtree(folder)
        if free is None:
            free = folder, lease
        else:
            lease.give_back()
    if free is None:  # another process took the last one just now
        return _free_slot(parent)
    _make(free[0])
    return free


def _make(folder: Path) -> None:
    """Make a folder that belongs to whom the folder above belongs, also where it is root who makes it."""
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            above = folder.parent.stat()
            os.chown(folder, above.st_uid, above.st_gid)


def _check_visible(server: Postgres | RabbitMQ) -> None:
    """Refuse to start a second server on data that one elsewhere, in a container perhaps, may be writing to."""
    if not server.running():
        raise NotOurs(
            f"Another process uses {server.folder}, but its server cannot be seen from here (it was killed, or runs "
            "in a container): end that process first."
        )


def _side_by_side(actions: Sequence[Callable[[], object]]) -> None:
    """Run a few actions at once; wait for all of them, then raise the first error."""
    with ThreadPoolExecutor(max_workers=max(len(actions), 1)) as executor:
        running = [executor.submit(action) for action in actions]
    for each in running:
        each.result()
