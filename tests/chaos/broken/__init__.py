"""Services of which a protection was taken away: what the rig is to notice."""


def without(statement: str, *parts: str) -> str:
    """Give a statement without some of its conditions."""
    for part in parts:
        assert part in statement, "the statement is another one by now"
        statement = statement.replace(part, "")
    return statement
