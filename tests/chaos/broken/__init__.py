"""Services of which a protection was taken away: what the rig is to notice."""

from sqlalchemy import TextClause

from tests.support.statements import replaced


def without(statement: TextClause, *parts: str) -> TextClause:
    """Return a statement without some of its conditions."""
    return replaced(statement, *((part, "") for part in parts))
