"""How settings are read: from the environment, `.env` and files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from libs.common.errors import SettingsError
from libs.common.settings.base import Settings
from libs.common.settings.names import PREFIX

S = TypeVar("S", bound=Settings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings. Raise SettingsError, in one line that names the variables at fault."""
    try:
        return cls(**{**_from_files(os.environ, cls), **overrides})
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_input=False):
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else ""
            what = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {what}" if name and problem["type"] != "missing" else f"{name} {what}".strip())
        raise SettingsError("; ".join(problems)) from None


def _from_files(environment: Mapping[str, str], cls: type[Settings]) -> dict[str, str]:
    """Return the settings whose value is in the file that `BROADSHEET_<NAME>_FILE` names."""
    found = {name: from_file(name, environment) for name in cls.model_fields}
    return {name: value for name, value in found.items() if value is not None}


def from_file(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a setting from the file that `BROADSHEET_<NAME>_FILE` names, None if it names none.

    Raise SettingsError.
    """
    path = environment.get(f"{PREFIX}{name.upper()}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}_FILE: {error.strerror}: {path}") from error
