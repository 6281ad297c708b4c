"""A file of contacts on its way to the API: as a stream, whatever its length, with how far it is."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import typer

from libs.console.bars import FileChanged, Tell, Upload
from libs.console.client import LONG, Client
from libs.console.failures import ApiError, NoApi
from libs.console.printing import one_line

EVERY = 1.0  # seconds between two looks at how far an import is
CHANGED = "The file changed while it was read. Nothing was imported: run it again."
NEWEST = 5  # imports among which it is looked for


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, or what comes by the standard input, for the time of the block. Raise typer.BadParameter."""
    if str(path) == "-":
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.flush()
            yield kept
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(one_line(f"{path}: {error.strerror}")) from error
    with file:
        yield file


def send(client: Client, to: str, file: IO[bytes], tell: Tell, **options: Any) -> Any:
    """Send a file and return the answer. Raise ApiError, also where the file has changed meanwhile."""
    with _unchanged():
        return client.call("POST", to, **_request(file, tell, options))


def save_rejected(client: Client, file: IO[bytes], tell: Tell, target: Path, **options: Any) -> None:
    """Write every line of a file that would be rejected to another one, as CSV. Raise ApiError."""
    try:
        with _unchanged():
            client.download("/contacts/import/rejected.csv", target, method="POST", **_request(file, tell, options))
    except OSError as error:
        raise typer.BadParameter(one_line(f"{target}: {error.strerror}")) from error


@contextmanager
def followed(client: Client, name: str, tell: Tell, *, shown: bool) -> Iterator[None]:
    """Show how far the import that begins within the block has come, once a second, where a person watches."""
    if not shown:
        yield
        return
    ended = Event()
    before = max((each["id"] for each in _newest(client)), default=0)

    def follow() -> None:
        while not ended.wait(EVERY):
            for each in _newest(client):
                if each["id"] > before and each["file_name"] == name and each["state"] == "running":
                    tell(each["done"], each["people"])

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _newest(client: Client) -> list[dict[str, Any]]:
    with suppress(ApiError, NoApi, KeyError, TypeError):
        found: list[dict[str, Any]] = client.call("GET", "/contacts/imports", params={"limit": NEWEST})["items"]
        return found
    return []


def _request(file: IO[bytes], tell: Tell, options: dict[str, Any]) -> dict[str, Any]:
    sent = Upload(file, tell)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(sent.size)}
    return {"content": sent, "within": LONG, **options, "headers": {**headers, **options.get("headers", {})}}


@contextmanager
def _unchanged() -> Iterator[None]:
    try:
        yield
    except FileChanged:
        raise ApiError(CHANGED) from None
