"""What the list of replies is narrowed down by, as it stands in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

from litestar.params import QueryParameter

from libs.common.catalogue import gettext as _
from libs.common.domain.states import ReplyKind
from libs.common.texts import gettext_noop as n_
from services.api.http.fields import BIGGEST, NO_NUL
from services.api.replies.queries import Filters

LONGEST = 100  # characters of a field

#: What a form sends of a field: nothing is chosen where it is empty.
Query: TypeAlias = Annotated[str, QueryParameter(max_length=LONGEST, pattern=NO_NUL)]

#: The tabs of the list.
ONLY = ("all", "unread", "mine", "open", "done", "likely-opt-outs", "opted-out")
PHASES = ("first", "second")
#: What came in, in the words of the page.
KINDS: dict[ReplyKind, str] = {
    ReplyKind.OWN_WORDS: n_("Own words"),
    ReplyKind.REACTION: n_("A reaction"),
    ReplyKind.AUTOMATIC: n_("An automatic answer"),
    ReplyKind.DELIVERY_NOTICE: n_("A notice of delivery"),
    ReplyKind.SHORT_CODE: n_("From a short code"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is chosen; what the address says wrongly is not."""

    only: str = ONLY[0]
    broadcast: int | None = None
    #: One of `PHASES`; empty for both.
    phase: str = ""
    segment: int | None = None
    find: str = ""
    kind: ReplyKind | None = None

    @classmethod
    def read(cls, *, only: str, broadcast: str, phase: str, segment: str, find: str, kind: str) -> "Chosen":
        """Return what an address says."""
        return cls(
            only=only if only in ONLY else ONLY[0],
            broadcast=_id(broadcast),
            phase=phase if phase in PHASES else "",
            segment=_id(segment),
            find=find.strip(),
            kind=ReplyKind(kind) if kind in KINDS else None,
        )

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Chosen":
        """Return what the query of an address says that leads away from the list and back to it."""
        names = ("only", "broadcast", "phase", "segment", "find", "kind")
        return cls.read(**{name: query.get(name, "").replace("\0", "")[:LONGEST] for name in names})

    def filters(self, user_id: int) -> Filters:
        """Return what the list is narrowed down by, for a user."""
        is_mine = self.only == "mine"
        return Filters(
            broadcast_id=self.broadcast,
            is_second=self.phase == "second" if self.phase else None,
            segment_id=self.segment,
            search=self.find or None,
            waiting=True if self.only == "likely-opt-outs" else None,
            opted_out=self.only == "opted-out",
            unread=True if self.only == "unread" else None,
            assigned_to=user_id if is_mine else None,
            kind=self.kind,
            done=True if self.only == "done" else False if is_mine or self.only == "open" else None,
        )

    def query(self, **changes: str) -> str:
        """Return the address's query with some of it changed; empty where it says nothing."""
        said = {
            "only": self.only if self.only != ONLY[0] else "",
            "broadcast": str(self.broadcast or ""),
            "phase": self.phase,
            "segment": str(self.segment or ""),
            "find": self.find,
            "kind": self.kind or "",
        }
        named = {name: value for name, value in {**said, **changes}.items() if value}
        return "?" + urlencode(named) if named else ""


def kind_name(kind: str) -> str:
    """Return what came in, in the words of the page."""
    return _(KINDS[ReplyKind(kind)])


def _id(given: str) -> int | None:
    if not (given.isascii() and given.isdecimal()):
        return None
    return int(given) if 0 < int(given) <= BIGGEST else None
