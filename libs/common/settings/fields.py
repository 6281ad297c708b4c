"""Types of settings that several have, and what the page of settings says of their values."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from libs.common import phone_numbers
from libs.common.settings import checks


@dataclass(frozen=True, slots=True)
class Unit:
    """What a setting is counted in, for the page of settings (docs/settings.md)."""

    name: str


@dataclass(frozen=True, slots=True)
class Form:
    """What the text of a setting has to look like, for that page."""

    name: str


SECONDS = Unit("seconds")
HttpUrl = Annotated[str, AfterValidator(checks.http_url), Form("URL")]
PhoneNumber = Annotated[str, AfterValidator(phone_numbers.valid), Form("phone number")]
Port = Annotated[int, Field(ge=0, le=65_535)]
