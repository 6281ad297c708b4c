"""What can go wrong, as one tree.

    BroadsheetError
    ├── SettingsError             a setting is missing or cannot be read
    ├── ConcurrencyError          somebody else appended to the stream first
    ├── UnreadableMessage         a message that no codec can read
    ├── Unpublishable             the broker does not take this one message
    ├── BrokerUnfit               the broker answers and cannot be worked with
    │   └── BrokerBlocked         it has an alarm and takes no messages
    └── Rejected                  the request makes no sense for what there is
        ├── NotFound
        ├── Conflict              something stands against it
        │   ├── NotInState        a broadcast is not in a state that allows this
        │   ├── NotReconciled     the database was restored and is not settled yet
        │   ├── NotApproved       it takes two, and one has said so
        │   └── AlreadySent       messages have left, and cannot be called back
        ├── Invalid               a field's value cannot be taken
        ├── NothingScheduled      no broadcast is scheduled for today
        ├── NoSegments            the broadcast has no audience
        ├── EmptyDraw             no contact can be drawn
        └── Unrenderable          some people's messages cannot be made

Driver and provider errors become these at the edge and stay behind as `__cause__`. None of them knows HTTP: the API
maps them in one table.
"""

import inspect

from libs.common.texts import filled


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


class Unpublishable(BroadsheetError):
    """The broker does not take this message."""


class BrokerUnfit(BroadsheetError):
    """The broker answers and cannot be worked with."""


class BrokerBlocked(BrokerUnfit):
    """The broker takes no messages: it is short of memory or of disk space, and has an alarm."""


class Rejected(BroadsheetError):
    """The request cannot be carried out."""


class NotFound(Rejected):
    """There is no such thing."""


class Conflict(Rejected):
    """The broadcast is not in a state that allows this."""


class NotInState(Conflict):
    """The broadcast is not in a state that allows this.

    `wish` is what was asked for, as `cannot` goes on: `be changed`.
    """

    def __init__(self, state: str, wish: str) -> None:
        super().__init__(filled("a broadcast that is %(state)s cannot %(wish)s", state=state, wish=wish))
        self.state = state
        self.wish = wish


class NotReconciled(Conflict):
    """The database was restored to a point in the past: nothing starts before `broadsheet reconcile`."""


class NotApproved(Conflict):
    """Nobody but its author has approved the broadcast yet."""


class AlreadySent(Conflict):
    """Messages of the broadcast have left: it cannot be called back any more."""


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


class Unrenderable(Rejected):
    """Some who may get the broadcast lack a value that its messages name, or would get more than a message holds."""

    def __init__(self, people: int) -> None:
        super().__init__(f"the messages of {people} people cannot be made: `preflight` lists them")
        #: How many.
        self.people = people
