"""The API as the command line calls it."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from libs.common.errors import SettingsError
from libs.common.settings import http_url
from libs.console.failures import ApiError, NoApi
from libs.console.local_stack import RUN_FILE, named, recorded, somebody

PATIENCE = 60.0  # seconds for which an answer is awaited
#: Seconds for calls that draw, import or skip what may be a million people: one of their statements may take 900.
LONG = 960.0
KEY_HEADER = "Idempotency-Key"
#: Says who runs the command, for history.
USER_HEADER = "Broadsheet-User"
#: How often a call with a key is made whose connection broke before the answer came: it has its effect once.
TRIES = 3


def connect() -> "Client":
    """Return a client of the API that the environment names, or that `broadsheet up` runs in this folder.

    Raise NoApi, SettingsError.
    """
    running = recorded()
    url = named("API_URL") or (running.api_url if running else "")
    keys = named("API_KEYS") or (running.api_key if running else "")
    if not url or not keys:
        raise NoApi(
            f"No API is known: run `broadsheet up` in this folder (it writes {RUN_FILE}), "
            "or set BROADSHEET_API_URL and BROADSHEET_API_KEYS."
        )
    try:
        url = http_url(url)
    except ValueError as error:
        raise SettingsError(f"BROADSHEET_API_URL: {error}") from error
    key = keys.split(",")[0].strip()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("BROADSHEET_API_KEYS: the first has a character that no key has")
    return Client(url, key)


class Client:
    """Calls the API. Raises ApiError for any answer that is not a success, NoApi if there is no answer."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {key}", USER_HEADER: quote(somebody().name)}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, *, within: float = PATIENCE, **options: Any) -> Any:
        """Return the answer's JSON, or None where it has no content."""
        key = options.get("headers", {}).get(KEY_HEADER)
        ends = time.monotonic() + within
        while True:
            answer = self._answer(TRIES if key else 1, key, method, path, within, options)
            # Too much at once: the API has done nothing yet, and says when to come again.
            pause = int(answer.headers.get("Retry-After", "")) if _is_to_come_again(answer) else None
            if pause is None or time.monotonic() + pause > ends:
                break
            time.sleep(pause)
        if not answer.is_success:
            raise ApiError(explain(answer))
        return answer.json() if answer.content else None

    def _answer(
        self, tries: int, key: str | None, method: str, path: str, within: float, options: dict[str, Any]
    ) -> httpx.Response:
        again = f" To be told what became of it, and to do it if it is not done, run it again with --key {key}."
        try:
            return self._http.request(method, path, timeout=httpx.Timeout(PATIENCE, read=within), **options)
        except httpx.ConnectError as error:
            raise NoApi(f"{self.url} does not answer ({type(error).__name__}).") from error
        except httpx.ReadTimeout as error:
            raise NoApi(
                f"{self.url} has not answered within {within:g} seconds; what was asked for may still be under way."
                + (again if key else "")
            ) from error
        except httpx.TransportError as error:
            if tries > 1:
                return self._answer(tries - 1, key, method, path, within, options)
            raise NoApi(f"{self.url} broke off ({type(error).__name__}).{again if key else ''}") from error

    def download(self, path: str, file: Path, *, method: str = "GET", within: float = PATIENCE, **options: Any) -> None:
        """Write what the API streams to a file, as it comes; a file that is half there is taken away again."""
        timeout = httpx.Timeout(PATIENCE, read=within)
        try:
            with (
                self._http.stream(method, path, timeout=timeout, **options) as answer,
                file.open("wb") as written,
            ):
                if not answer.is_success:
                    answer.read()
                    raise ApiError(explain(answer))
                for part in answer.iter_bytes():
                    written.write(part)
        except httpx.TransportError as error:
            file.unlink(missing_ok=True)
            raise NoApi(f"{self.url} broke off ({type(error).__name__}).") from error
        except ApiError:
            file.unlink(missing_ok=True)
            raise

    def all(self, path: str) -> list[dict[str, Any]]:
        """Return every item of a list, page after page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.call("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"


def _is_to_come_again(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.TOO_MANY_REQUESTS and answer.headers.get("Retry-After", "").isdecimal()


def explain(answer: httpx.Response) -> str:
    """Put a problem (RFC 9457) into a few words."""
    try:
        problem = answer.json()
        lines = [f"{error['field']}: {error['message']}" for error in problem.get("errors", [])]
        lines = lines or [str(problem.get("detail") or problem.get("title") or answer.reason_phrase)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{answer.status_code} {answer.reason_phrase}"
    return "\n".join(lines)
