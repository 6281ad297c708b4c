"""What goes wrong with a command, told in a line or two."""


class ApiError(Exception):
    """The API refused; the message is for a person."""


class NoApi(Exception):
    """No API is named, and none runs here."""


class DidNotStart(Exception):
    """A process did not become ready; the message has the last lines of its log."""
