"""`broadsheet numbers`: how our numbers send, over the API."""

from typing import Annotated, Any

import typer

from libs.common.domain.sending_numbers import CarrierName
from libs.console.client import connect
from libs.console.inputs import Json
from libs.console.printing import after, show, show_all

numbers = typer.Typer(no_args_is_help=True, help="Our numbers, and how each sends.")

COLUMNS = ("id", "phone_number", "carrier_in_use", "rate_in_use", "minute_limit", "daily_cap", "hours", "enabled")
#: What takes a number's own setting away again.
NONE = "none"

NumberId = Annotated[int, typer.Argument(help="The number's id, as `numbers list` shows it.")]


@numbers.command("list")
def list_numbers(as_json: Json = False) -> None:
    """List our numbers, with how each sends."""
    show_all(connect().call("GET", "/numbers"), COLUMNS, as_json=as_json)


@numbers.command("show")
def show_number(number_id: NumberId, as_json: Json = False) -> None:
    """Show how a number sends."""
    show(connect().call("GET", f"/numbers/{number_id}"), as_json=as_json)


@numbers.command("change")
def change_number(
    number_id: NumberId,
    carrier: Annotated[str | None, typer.Option(help="missive or twilio; `none` for the settings' carrier.")] = None,
    rate: Annotated[str | None, typer.Option(help="Messages a second; `none` for the settings' rate.")] = None,
    minute_limit: Annotated[str | None, typer.Option(help="Messages in any minute; `none` for no such limit.")] = None,
    daily_cap: Annotated[str | None, typer.Option(help="Attempts on one day; `none` for no such limit.")] = None,
    hours: Annotated[str | None, typer.Option(help="When it sends, HH:MM-HH:MM; `none` for always.")] = None,
    messaging_service: Annotated[
        str | None, typer.Option(help="Twilio's SID of the service that sends in its place; `none` for none.")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether anything leaves from it.")] = None,
    as_json: Json = False,
) -> None:
    """Change how a number sends, from its next batch on: within a minute."""
    given: dict[str, Any] = {
        "carrier": _one_of(carrier),
        "rate": _figure("--rate", rate, float),
        "minute_limit": _figure("--minute-limit", minute_limit, int),
        "daily_cap": _figure("--daily-cap", daily_cap, int),
        "hours": hours,
        "messaging_service_sid": messaging_service,
        "enabled": enabled,
    }
    changes = {field: None if value == NONE else value for field, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what is to change, such as --rate or --off; --help lists all")
    found = connect().call("PATCH", f"/numbers/{number_id}", json=changes)
    with after(f"Number {number_id} is changed."):
        show(found, as_json=as_json)


def _one_of(carrier: str | None) -> str | None:
    if carrier not in (None, NONE, *CarrierName):
        raise typer.BadParameter("--carrier is missive, twilio or none")
    return carrier


def _figure(option: str, given: str | None, kind: type[float] | type[int]) -> float | str | None:
    if given is None or given == NONE:
        return given
    try:
        return kind(given)
    except ValueError as error:
        raise typer.BadParameter(f"{option} is a figure, or none") from error
