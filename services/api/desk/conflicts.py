"""Why something cannot be done to a broadcast, and what can: one table from its state to words. Pure."""

from libs.common.catalogue import gettext as _
from libs.common.domain.states import BroadcastState
from libs.common.errors import NotInState
from libs.common.texts import gettext_noop as n_

#: State to how it stands, and what can be done now.
STANDS = {
    BroadcastState.SCHEDULED: (
        n_("It is scheduled, and has not begun."),
        n_("Until it begins it can be changed, left out or sent now."),
    ),
    BroadcastState.SENDING_FIRST: (
        n_("It is sending the first message."),
        n_("You can pause it, or cancel what has not left."),
    ),
    BroadcastState.WAITING: (
        n_("The first message is out, and it waits for replies before the follow-up."),
        n_("You can pause it, or cancel the follow-up."),
    ),
    BroadcastState.SENDING_SECOND: (
        n_("It is sending the follow-up."),
        n_("You can pause it, or cancel what has not left."),
    ),
    BroadcastState.SYNCING: (
        n_("All of it has left, and delivery reports are collected."),
        n_("What has left cannot be taken back. Copy it to send something like it."),
    ),
    BroadcastState.COMPLETED: (
        n_("It is done."),
        n_("What has left cannot be taken back. Copy it to send something like it."),
    ),
    BroadcastState.PAUSED: (n_("It is paused."), n_("You can go on with it, or cancel what has not left.")),
    BroadcastState.CANCELLED: (n_("It was cancelled."), n_("Copy it to send something like it.")),
    BroadcastState.MISSED: (n_("It did not go out."), n_("You can send it now, or cancel it.")),
}

#: What was asked for, as the error says it, to why that does not go.
WISHES = {
    "be changed": n_("The broadcast cannot be changed any more."),
    "stop repeating": n_("The broadcast cannot stop repeating: only one that has not begun can."),
    "be approved": n_("The broadcast cannot be approved any more."),
    "be made": n_("The broadcast cannot be sent."),
    "be called back": n_("The broadcast cannot be called back any more."),
    "be left out": n_("The broadcast cannot be left out any more."),
    "be paused": n_("The broadcast cannot be paused: it is not going out."),
    "be resumed": n_("The broadcast cannot go on: it is not paused."),
    "be cancelled": n_("The broadcast cannot be cancelled any more."),
}


def words(error: NotInState) -> tuple[str, str, str]:
    """Return what does not go, how the broadcast stands, and what can be done about it."""
    stands, advice = STANDS[BroadcastState(error.state)]
    return _(WISHES[error.wish]), _(stands), _(advice)
