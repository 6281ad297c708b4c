"""What can go wrong, as one tree.

    BroadsheetError
    ├── SettingsError             a setting is missing or cannot be read
    ├── ConcurrencyError          somebody else appended to the stream first
    ├── UnreadableMessage         a message that no codec can read
    └── Rejected                  the request makes no sense for what there is
        ├── NotFound
        ├── Conflict              not in this state
        │   └── NotReconciled     the database was restored and is not settled yet
        ├── Invalid               a field's value cannot be taken
        ├── NothingScheduled      no broadcast is scheduled for today
        ├── NoSegments            the broadcast has no audience
        └── EmptyDraw             no contact can be drawn

Driver and provider errors become these at the edge and stay behind as `__cause__`. None of them knows HTTP: the API
maps them in one table.
"""

import inspect


class BroadsheetError(Exception):
    """Something went wrong in Broadsheet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)))


class SettingsError(BroadsheetError):
    """A setting is missing or cannot be read."""


class ConcurrencyError(BroadsheetError):
    """The stream has moved on since it was read."""


class UnreadableMessage(BroadsheetError):
    """A message cannot be read."""


class Rejected(BroadsheetError):
    """The request cannot be carried out."""


class NotFound(Rejected):
    """There is no such thing."""


class Conflict(Rejected):
    """The broadcast is not in a state that allows this."""


class NotReconciled(Conflict):
    """The database was restored to a point in the past: nothing starts before `broadsheet reconcile`."""


class Invalid(Rejected):
    """A value cannot be taken."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.reason = message


class NothingScheduled(Rejected):
    """No broadcast is scheduled for today."""


class NoSegments(Rejected):
    """The broadcast has no audience segment."""


class EmptyDraw(Rejected):
    """No contact can be drawn: every member of the segments has opted out, or there is none."""
