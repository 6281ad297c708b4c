# mypy: disable-error-code="import-not-found,untyped-decorator"
"""What schemathesis cannot know from a schema. It runs in the tools' environment: nothing of Broadsheet is imported.

A body that fits the schema is refused all the same where its time has gone by, its segments are not there, or its key
was used before. What is meant to be valid is given a time that comes, ids that are there, a filter that is one, a
keyword that is one, an address that is one, and a key of its own.
"""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from schemathesis import GenerationMode

IDS = 5  # there is something of these ids
FILTERS: tuple[Any, ...] = (
    "north",
    {"all": []},
    {"any": [{"attribute": "age", "ge": 18}, {"not": {"replied_since": "30 days"}}]},
)
KEYWORD = {"word": "word{}", "tag": "north", "welcome": "Reply STOP to end", "question": "Reply YES"}
_count = itertools.count()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Have a valid request mean something."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    number = next(_count)
    for name, value in (case.path_parameters or {}).items():
        if number % 2 and isinstance(value, int):
            case.path_parameters[name] = value % IDS + 1
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"key {number}"
    if case.path.startswith("/segments") and isinstance(case.body, dict) and "filter" in case.body:
        case.body["filter"] = FILTERS[number % len(FILTERS)]
    if case.path.startswith("/keywords") and isinstance(case.body, dict):
        for name, value in KEYWORD.items():
            if case.body.get(name) is not None:
                case.body[name] = value.format(number)
    if isinstance(case.body, dict) and "email" in case.body:
        case.body["email"] = f"user{number}@example.org"
    if case.path.startswith("/broadcasts") and isinstance(case.body, dict):
        _schedule(case.body)


def _shares(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return shares of one kind each, that fit together whatever `max_recipients` becomes: no numbers."""
    found = {share["segment_id"] % IDS + 1: share for share in segments}
    return [
        {"segment_id": each, "all": True}
        if share.get("all")
        else {"segment_id": each, "ratio": (share.get("ratio") or 1.0) / len(found)}
        for each, share in found.items()
    ]


def _schedule(body: dict[str, Any]) -> None:
    if "run_at" in body:
        body["run_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    if segments := body.get("segments"):
        body["segments"] = _shares(segments)
    for name in ("exclude", "fallback"):
        # A segment has one part in a broadcast.
        body.pop(name, None)
    if cap := body.get("frequency_cap"):
        cap["texts"] = max(2, cap["texts"])
    for name in ("first_message", "second_message"):
        if body.get(name) is not None:
            body[name] = "Hello " + re.sub(r"[{}\x00]", "", body[name])[:1500]
