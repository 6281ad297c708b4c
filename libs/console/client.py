"""The API as the command line calls it."""

from typing import Any

import httpx

from libs.console.running import RUN_FILE, named, recorded

PATIENCE = 60.0  # seconds for which an answer is awaited
#: Seconds for calls that draw, import or skip what may be a million people: one of their statements may take 900.
LONG = 960.0


class ApiError(Exception):
    """The API refused; the message is for a person."""


class NoApi(Exception):
    """No API is named, and none runs here."""


def connect() -> "Client":
    """Give a client of the API that the environment names, or that `broadsheet up` runs in this folder."""
    running = recorded()
    url = named("API_URL") or (running.api_url if running else "")
    keys = named("API_KEYS") or (running.api_key if running else "")
    if not url or not keys:
        raise NoApi(
            f"No API is known: run `broadsheet up` in this folder (it writes {RUN_FILE}), "
            "or set BROADSHEET_API_URL and BROADSHEET_API_KEYS."
        )
    return Client(url, keys.split(",")[0].strip())


class Client:
    """Calls the API. Raises ApiError for any answer that is not a success, NoApi if there is no answer."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, *, within: float = PATIENCE, **options: Any) -> Any:
        """Give the answer's JSON, or None where it has no content."""
        try:
            answer = self._http.request(method, path, timeout=httpx.Timeout(PATIENCE, read=within), **options)
        except httpx.ReadTimeout as error:
            raise NoApi(
                f"{self.url} has not answered within {within:g} seconds; what was asked for may still be under way."
            ) from error
        except httpx.TransportError as error:
            raise NoApi(f"{self.url} does not answer ({type(error).__name__}).") from error
        if not answer.is_success:
            raise ApiError(explain(answer))
        return answer.json() if answer.content else None

    def all(self, path: str) -> list[dict[str, Any]]:
        """Give every item of a list, page after page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.call("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"


def explain(answer: httpx.Response) -> str:
    """Put a problem (RFC 9457) into a few words."""
    try:
        problem = answer.json()
        lines = [f"{error['field']}: {error['message']}" for error in problem.get("errors", [])]
        lines = lines or [str(problem.get("detail") or problem.get("title") or answer.reason_phrase)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{answer.status_code} {answer.reason_phrase}"
    return "\n".join(lines)
