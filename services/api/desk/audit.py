"""Who did what, for people to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.domain import actors
from libs.common.domain.actors import ActorKind
from libs.common.texts import gettext_noop as n_
from services.api.accounts import api_keys, users
from services.api.audit import queries
from services.api.audit.queries import Entry
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.catalogue import gettext as _
from services.api.http import pagination
from services.api.http.fields import BIGGEST, Cursor

PAGE = 50  # entries

#: Who did it, where it was no user.
ACTORS = {
    ActorKind.KEY: n_("%(name)s (a program)"),
    ActorKind.CONSOLE: n_("%(name)s (command line)"),
    ActorKind.CARRIER: n_("%(name)s (carrier)"),
    ActorKind.SERVICE: n_("Broadsheet"),
    ActorKind.USER: n_("user %(name)s"),
}
#: What it was done to, by the first part of its stream's name; and where its page is.
SUBJECTS = {
    "broadcast": (n_("broadcast %(number)s"), "/desk/broadcasts/{number}"),
    "contact": (n_("person %(number)s"), "/desk/people/{number}"),
    "segment": (n_("group %(number)s"), "/desk/segments/{number}"),
    "user": (n_("user %(number)s"), ""),
    "key": (n_("key %(number)s"), ""),
    "reply": (n_("reply %(number)s"), "/desk/replies/{number}"),
    "single": (n_("a text to one person"), ""),
}
NAMED = {
    "contacts": n_("a file of people"),
    "dead-letters": n_("messages that a service could not handle"),
    "organisation": n_("everybody"),
    "restore": n_("a restored database"),
}
#: What people and programs do, as a person says it. The thing that it was done to stands beside it.
DONE = {
    "BroadcastScheduled": n_("created"),
    "BroadcastEdited": n_("changed"),
    "BroadcastApproved": n_("approved"),
    "RepeatingStopped": n_("stopped the repeating of"),
    "BroadcastMade": n_("sent"),
    "BroadcastPaused": n_("paused"),
    "BroadcastResumed": n_("went on with"),
    "BroadcastCalledBack": n_("called back"),
    "BroadcastCancelled": n_("cancelled"),
    "RecipientsDrawn": n_("drew the people of"),
    "MessagesSkipped": n_("took messages out of"),
    "MessageSentAgain": n_("sent a message again in"),
    "OptedOut": n_("opted out"),
    "OptedIn": n_("opted in"),
    "OptOutReviewed": n_("decided about a reply of"),
    "NumberReachable": n_("had texts go again to"),
    "ContactsImported": n_("imported"),
    "ImportUndone": n_("took back"),
    "ContactChanged": n_("changed"),
    "ContactErased": n_("erased"),
    "SegmentCreated": n_("created"),
    "SegmentChanged": n_("changed"),
    "SegmentDeleted": n_("deleted"),
    "ReplyAssigned": n_("handed over"),
    "ReplyDone": n_("was done with"),
    "ReplyReopened": n_("opened again"),
    "SingleMessageAsked": n_("had sent"),
    "SingleMessageEnded": n_("sent"),
    "UserInvited": n_("invited"),
    "UserChanged": n_("changed"),
    "PasswordChosen": n_("chose a password for"),
    "SessionsEnded": n_("signed out"),
    "NoticesChosen": n_("chose the notices of"),
    "KeyCreated": n_("made"),
    "KeyRevoked": n_("took back"),
    "DeadLettersSentBack": n_("sent back"),
    "DeadLettersDropped": n_("dropped"),
    "RestoreMarked": n_("marked"),
    "RestoreSettled": n_("settled"),
    "OwnNumberChanged": n_("changed the phone number of"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An entry as it is read."""

    at: datetime
    who: str
    did: str
    what: str
    #: Where what it was done to has its page; empty if it has none.
    address: str


def line(entry: Entry, user_names: Mapping[int, str], key_names: Mapping[int, str]) -> Line:
    """Return an entry as it is read, with the names of users and keys by id."""
    actor = actors.parse(entry.actor)
    what, address = _subject(entry.subject, {"user": user_names, "key": key_names})
    return Line(
        at=entry.occurred_at,
        who=entry.actor_name or _(ACTORS[actor.kind]) % {"name": actor.name},
        did=_(DONE.get(entry.type, entry.type)),
        what=what,
        address=address,
    )


def _subject(stream: str, names: Mapping[str, Mapping[int, str]]) -> tuple[str, str]:
    if stream in NAMED:
        return _(NAMED[stream]), ""
    kind, _dash, rest = stream.partition("-")
    number = rest.partition("-")[0]
    if kind not in SUBJECTS or not number.isdecimal():
        return stream, ""
    words, address = SUBJECTS[kind]
    name = names.get(kind, {}).get(int(number))
    return name or _(words) % {"number": number}, address.format(number=number)


@get("/audit")
async def show(request: Request[Any, Any, Any], api: NamedDependency[Context], cursor: Cursor = None) -> Template:
    """Show what people and programs did, the newest first."""
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, actor=None, subject=None, before=before, limit=PAGE + 1)
        names = {user.id: user.name for user in await users.everybody(connection)}
        keys = {key.id: key.name for key in await api_keys.everything(connection)}
    page = pagination.cut(found, PAGE, lambda entry: str(entry.position))
    lines = [line(entry, names, keys) for entry in page.items]
    return rendering.page(request, api, "audit.html", section="settings", lines=lines, next_cursor=page.next_cursor)
