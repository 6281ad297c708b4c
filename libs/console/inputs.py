"""What several commands are given, and how it is read."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import typer

from libs.common.domain import message_bodies
from libs.common.domain.frequency import parse_cap
from libs.common.errors import SettingsError
from libs.common.settings import Settings, http_url
from libs.console.client import KEY_HEADER
from libs.console.local_stack import named
from libs.console.printing import one_line

BroadcastId = Annotated[int, typer.Argument(help="The broadcast's id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="Of a call whose answer was lost: what was done is told, and not done again."),
]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def text_of(value: str) -> str:
    """Return a message, or with `@` in front the content of the file that it names. Raise BadParameter."""
    if not value.startswith("@"):
        return value
    try:
        return message_bodies.read(content_of(Path(value[1:])))
    except UnicodeDecodeError as error:
        raise typer.BadParameter(one_line(f"{value[1:]}: not UTF-8")) from error


def content_of(path: Path) -> bytes:
    """Return the content of a file. Raise typer.BadParameter."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(one_line(f"{path}: {error.strerror}")) from error


def zone() -> ZoneInfo:
    """Return the organisation's time zone: this machine's may be another, and a container's is UTC."""
    try:
        return ZoneInfo(named("TIMEZONE") or Settings.model_fields["timezone"].default)
    except (ValueError, OSError, KeyError) as error:
        raise SettingsError("BROADSHEET_TIMEZONE: not a time zone of the IANA database") from error


def time_of(value: str, now: datetime) -> datetime:
    """Read `14:30` (today, in the zone of `now`) or an RFC 3339 time. Raise typer.BadParameter."""
    try:
        if "T" in value or " " in value:
            given = datetime.fromisoformat(value)
        else:
            given = datetime.combine(now.date(), datetime.strptime(value, "%H:%M").time())  # noqa: DTZ007
    except ValueError as error:
        raise typer.BadParameter("give HH:MM or a time like 2026-03-04T14:30:00-05:00") from error
    return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)


def share_of(value: str) -> dict[str, Any]:
    """Read `ID:PERCENT`, `ID:n=NUMBER` or `ID:all`. Raise typer.BadParameter."""
    segment, _, share = value.partition(":")
    try:
        if share == "all":
            return {"segment_id": int(segment), "all": True}
        if share.startswith("n="):
            return {"segment_id": int(segment), "count": int(share.removeprefix("n="))}
        return {"segment_id": int(segment), "ratio": float(share or 100)}
    except ValueError as error:
        raise typer.BadParameter("give ID:PERCENT, ID:n=NUMBER or ID:all, such as 2:50, 2:n=500 or 2:all") from error


def cap_of(value: str) -> dict[str, int]:
    """Read `TEXTS/DAYS`. Raise typer.BadParameter."""
    try:
        cap = parse_cap(value)
    except ValueError as error:
        raise typer.BadParameter("give TEXTS/DAYS, such as 2/7 for at most 2 texts in 7 days") from error
    return {"texts": cap.texts, "days": cap.days}


def weekday_of(value: str) -> tuple[str, str]:
    """Read `wed=14:00`. Raise typer.BadParameter."""
    name, _, at = value.partition("=")
    found = [day for day in WEEKDAYS if len(name) >= len("mon") and day.startswith(name.lower())]
    if len(found) != 1 or not at:
        raise typer.BadParameter("give DAY=HH:MM, such as wed=14:00")
    return found[0], at


def address(value: str) -> str:
    """Return an address that is given, or nothing. Raise typer.BadParameter."""
    try:
        return http_url(value) if value else ""
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def key_header(key: str | None = None) -> dict[str, str]:
    """Return the header that makes a call that is tried again have its effect once."""
    return {KEY_HEADER: key or str(uuid4())}
