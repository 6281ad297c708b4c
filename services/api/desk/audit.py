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
    ActorKind.KEY: _("%(name)s (a program)"),
    ActorKind.CONSOLE: _("%(name)s (command line)"),
    ActorKind.CARRIER: _("%(name)s (carrier)"),
    ActorKind.SERVICE: _("Broadsheet"),
    ActorKind.USER: _("user %(name)s"),
}
#: What it was done to, by the first part of its stream's name; and where its page is.
SUBJECTS = {
    "broadcast": (_("broadcast %(number)s"), "/desk/broadcasts/{number}"),
    "contact": (_("person %(number)s"), "/desk/people/{number}"),
    "segment": (_("group %(number)s"), "/desk/segments/{number}"),
    "user": (_("user %(number)s"), ""),
    "key": (_("key %(number)s"), ""),
    "reply": (_("reply %(number)s"), "/desk/replies/{number}"),
    "single": (_("a text to one person"), ""),
}
NAMED = {
    "contacts": _("a file of people"),
    "dead-letters": _("messages that a service could not handle"),
    "organisation": _("everybody"),
    "restore": _("a restored database"),
}
#: What people and programs do, as a person says it. The thing that it was done to stands beside it.
DONE = {
    "BroadcastScheduled": _("created"),
    "BroadcastEdited": _("changed"),
    "BroadcastApproved": _("approved"),
    "RepeatingStopped": _("stopped the repeating of"),
    "BroadcastMade": _("sent"),
    "BroadcastPaused": _("paused"),
    "BroadcastResumed": _("went on with"),
    "BroadcastCalledBack": _("called back"),
    "BroadcastCancelled": _("cancelled"),
    "RecipientsDrawn": _("drew the people of"),
    "MessagesSkipped": _("took messages out of"),
    "MessageSentAgain": _("sent a message again in"),
    "OptedOut": _("opted out"),
    "OptedIn": _("opted in"),
    "OptOutReviewed": _("decided about a reply of"),
    "NumberReachable": _("had texts go again to"),
    "ContactsImported": _("imported"),
    "ImportUndone": _("took back"),
    "ContactChanged": _("changed"),
    "ContactErased": _("erased"),
    "SegmentCreated": _("created"),
    "SegmentChanged": _("changed"),
    "SegmentDeleted": _("deleted"),
    "ReplyAssigned": _("handed over"),
    "ReplyDone": _("was done with"),
    "ReplyReopened": _("opened again"),
    "SingleMessageAsked": _("had sent"),
    "SingleMessageEnded": _("sent"),
    "UserInvited": _("invited"),
    "UserChanged": _("changed"),
    "PasswordChosen": _("chose a password for"),
    "SessionsEnded": _("signed out"),
    "NoticesChosen": _("chose the notices of"),
    "KeyCreated": _("made"),
    "KeyRevoked": _("took back"),
    "DeadLettersSentBack": _("sent back"),
    "DeadLettersDropped": _("dropped"),
    "RestoreMarked": _("marked"),
    "RestoreSettled": _("settled"),
    "OwnNumberChanged": _("changed the phone number of"),
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
        who=entry.actor_name or ACTORS[actor.kind] % {"name": actor.name},
        did=DONE.get(entry.type, entry.type),
        what=what,
        address=address,
    )


def _subject(stream: str, names: Mapping[str, Mapping[int, str]]) -> tuple[str, str]:
    if stream in NAMED:
        return NAMED[stream], ""
    kind, _dash, rest = stream.partition("-")
    number = rest.partition("-")[0]
    if kind not in SUBJECTS or not number.isdecimal():
        return stream, ""
    words, address = SUBJECTS[kind]
    name = names.get(kind, {}).get(int(number))
    return name or words % {"number": number}, address.format(number=number)


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
