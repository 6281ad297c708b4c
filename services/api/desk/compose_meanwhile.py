"""What became of a broadcast while somebody had its form open: another version of it, or one that changes no more."""

from dataclasses import dataclass
from enum import StrEnum

from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain import actors
from libs.common.domain.states import BroadcastState
from libs.common.errors import NotFound
from services.api.accounts import users
from services.api.broadcasts import queries
from services.api.context import Context
from services.api.desk import compose_form, conflicts
from services.api.schemas import Broadcast


class What(StrEnum):
    """What happened meanwhile."""

    #: Somebody else has changed it.
    CHANGED = "changed"
    #: The form was sent before, with other words in it: it has made this broadcast.
    SAVED = "saved"
    #: It has begun, or was cancelled: what was typed can only be saved as another one.
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What became of a broadcast, and how it is now."""

    what: What
    broadcast: Broadcast
    #: Who has changed it.
    who: str
    #: The times of the weekdays on which it repeats.
    week: list[tuple[str, str]]
    #: How it stands, where it changes no more.
    stands: str

    @property
    def changes(self) -> Broadcast | None:
        """The broadcast that the form is to change; None where it is to make another one."""
        return None if self.what is What.OVER else self.broadcast


async def read(connection: Connection, api: Context, broadcast_id: int, what: What) -> Meanwhile:
    """Return how a broadcast stands now. Raise NotFound."""
    now_there = await queries.one(connection, broadcast_id, api.settings.zone)
    author = actors.parse(now_there.author)
    try:
        who = author.name if author.user_id is None else (await users.one(connection, author.user_id)).name
    except NotFound:
        who = now_there.author
    is_over = now_there.state != BroadcastState.SCHEDULED
    return Meanwhile(
        what=What.OVER if is_over else what,
        broadcast=now_there,
        who=who,
        week=compose_form.times_of(now_there.week),
        stands=_(conflicts.STANDS[BroadcastState(now_there.state)][0]),
    )
