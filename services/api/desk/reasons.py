"""Why somebody does something, as a form says it: one line, kept with what was done."""

LONGEST = 500  # characters


def read(data: dict[str, str]) -> str:
    """Return the reason that a form gives; empty where it gives none."""
    return " ".join(data.get("reason", "").replace("\0", "").split())[:LONGEST]
