"""Texts for people: in English in the code, and in other languages in the desk's catalogue (gettext).

Babel finds both marks of this module. What they return is plain English, for the API, logs and what is stored; the desk
looks it up where it shows it: `libs.common.catalogue.said`.
"""


def gettext_noop(text: str) -> str:
    """Return a text as it is."""
    return text


def filled(text: str, /, **values: object) -> str:
    """Return a text with its placeholders filled: `filled("more than %(most)s tags", most=10)`."""
    return text % values
