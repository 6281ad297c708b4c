"""Who did what, for people to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.domain import actors
from libs.common.domain.actors import ActorKind
from libs.common.texts import gettext_noop as n_
from services.api.accounts import api_keys, users
from services.api.audit import queries
from services.api.audit.queries import Entry
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.waits import CARRIERS
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
    "number": (n_("our number %(number)s"), ""),
    "key": (n_("key %(number)s"), ""),
    "keyword": (n_("keyword %(number)s"), "/desk/settings/keywords"),
    "reply": (n_("reply %(number)s"), "/desk/replies/{number}"),
    "single": (n_("a text to one person"), ""),
}
NAMED = {
    "consent": n_("the register of consent"),
    "contacts": n_("a file of people"),
    "dead-letters": n_("messages that a service could not handle"),
    "organisation": n_("everybody"),
    "restore": n_("a restored database"),
}
#: What people and programs do, as a person says it.
DONE = {
    "BroadcastScheduled": n_("%(who)s created %(what)s"),
    "BroadcastEdited": n_("%(who)s changed %(what)s"),
    "BroadcastApproved": n_("%(who)s approved %(what)s"),
    "RepeatingStopped": n_("%(who)s stopped the repeating of %(what)s"),
    "BroadcastMade": n_("%(who)s sent %(what)s"),
    "BroadcastPaused": n_("%(who)s paused %(what)s"),
    "BroadcastResumed": n_("%(who)s went on with %(what)s"),
    "BroadcastCalledBack": n_("%(who)s called back %(what)s"),
    "BroadcastCancelled": n_("%(who)s cancelled %(what)s"),
    "RecipientsDrawn": n_("%(who)s chose the people of %(what)s"),
    "MessagesSkipped": n_("%(who)s took messages out of %(what)s"),
    "MessageSentAgain": n_("%(who)s sent a message again in %(what)s"),
    "OptedOut": n_("%(who)s opted out %(what)s"),
    "OptedIn": n_("%(who)s opted in %(what)s"),
    "ConsentExported": n_("%(who)s took %(what)s"),
    "OptOutReviewed": n_("%(who)s decided about a reply of %(what)s"),
    "NumberReachable": n_("%(who)s had texts go again to %(what)s"),
    "ContactsImported": n_("%(who)s imported %(what)s"),
    "ImportUndone": n_("%(who)s took back %(what)s"),
    "ContactChanged": n_("%(who)s changed %(what)s"),
    "ContactErased": n_("%(who)s erased %(what)s"),
    "SegmentCreated": n_("%(who)s created %(what)s"),
    "SegmentChanged": n_("%(who)s changed %(what)s"),
    "SegmentDeleted": n_("%(who)s deleted %(what)s"),
    "KeywordCreated": n_("%(who)s created %(what)s"),
    "KeywordChanged": n_("%(who)s changed %(what)s"),
    "KeywordDeleted": n_("%(who)s deleted %(what)s"),
    "SignedUp": n_("%(who)s signed up %(what)s"),
    "ReplyAssigned": n_("%(who)s handed over %(what)s"),
    "ReplyDone": n_("%(who)s was done with %(what)s"),
    "ReplyReopened": n_("%(who)s opened again %(what)s"),
    "SingleMessageAsked": n_("%(who)s had sent %(what)s"),
    "SingleMessageEnded": n_("%(who)s sent %(what)s"),
    "UserInvited": n_("%(who)s invited %(what)s"),
    "UserChanged": n_("%(who)s changed %(what)s"),
    "PasswordChosen": n_("%(who)s chose a password for %(what)s"),
    "SessionsEnded": n_("%(who)s signed out %(what)s"),
    "NoticesChosen": n_("%(who)s chose the notices of %(what)s"),
    "KeyCreated": n_("%(who)s made the key %(what)s"),
    "KeyRevoked": n_("%(who)s took back the key %(what)s"),
    "DeadLettersSentBack": n_("%(who)s sent back %(what)s"),
    "DeadLettersDropped": n_("%(who)s dropped %(what)s"),
    "RestoreMarked": n_("%(who)s marked %(what)s"),
    "RestoreSettled": n_("%(who)s settled %(what)s"),
    "NumberChanged": n_("%(who)s changed %(what)s"),
    "OwnNumberChanged": n_("%(who)s changed the phone number of %(what)s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An entry as it is read."""

    at: datetime
    #: What was done, with `%(who)s` and `%(what)s` where those are named.
    did: str
    who: str
    what: str
    #: Where what it was done to has its page; empty if it has none.
    address: str


def who(entry: Entry) -> str:
    """Return who did it, by name."""
    actor = actors.parse(entry.actor)
    name = CARRIERS.get(actor.name, actor.name) if actor.kind is ActorKind.CARRIER else actor.name
    return entry.actor_name or _(ACTORS[actor.kind]) % {"name": name}


def line(entry: Entry, user_names: Mapping[int, str], key_names: Mapping[int, str]) -> Line:
    """Return an entry as it is read, with the names of users and keys by id."""
    what, address = _subject(entry.subject, {"user": user_names, "key": key_names})
    return Line(
        at=entry.occurred_at,
        who=who(entry),
        did=DONE.get(entry.type, f"%(who)s: {entry.type}, %(what)s"),
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
