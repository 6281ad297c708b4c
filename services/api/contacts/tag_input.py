"""Tags as clients name them, brought to the form in which they are kept."""

from collections.abc import Sequence

from libs.common.domain import tags
from libs.common.errors import Invalid
from services.api.http.errors import InvalidFields


def composed_tag(given: str | None) -> str | None:
    """Return the tag that a query names. Raise Invalid."""
    try:
        return None if given is None else tags.checked(given)
    except ValueError as error:
        raise Invalid("tag", str(error)) from error


def composed_tags(given: Sequence[str], field: str) -> list[str]:
    """Return the tags of a field of a body, each once. Raise InvalidFields with every one that is none."""
    found: dict[str, None] = {}
    faults = []
    for place, each in enumerate(given):
        try:
            found[tags.checked(each)] = None
        except ValueError as error:
            faults.append((f"{field}[{place}]", str(error)))
    if faults:
        raise InvalidFields(*faults)
    return list(found)
