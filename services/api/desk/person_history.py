"""What was done to a person, by whom and when, as sentences. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.catalogue import gettext as _
from libs.common.texts import gettext_noop as n_
from services.api.audit.queries import Entry
from services.api.desk import audit

#: By the event's type. Who did it may be a person, a program, a carrier, or Broadsheet itself.
DONE = {
    "OptedOut": n_("%(who)s noted that they want no more texts."),
    "OptedIn": n_("%(who)s noted that they want texts again."),
    "SignedUp": n_("They signed up by a keyword, which %(who)s told."),
    "OptOutSuspected": n_("%(who)s held their texts back: they may have asked to be left alone."),
    "NumberUnreachable": n_("%(who)s left their number out: it takes no texts."),
    "NumberReachable": n_("%(who)s had texts go to their number again."),
    "ContactErased": n_("%(who)s erased them."),
}
#: By the fields that were changed.
CHANGED = {
    ("name",): n_("%(who)s changed the name."),
    ("tags",): n_("%(who)s changed the tags."),
    ("name", "tags"): n_("%(who)s changed name and tags."),
}
#: Where it was something else, or more.
CHANGED_MORE = n_("%(who)s changed what we know of them.")
#: By whether it was decided that it was an opt-out.
REVIEWED = {
    True: n_("%(who)s decided that a reply of theirs was an opt-out."),
    False: n_("%(who)s decided that a reply of theirs was no opt-out."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was done."""

    at: datetime
    words: str


def lines(entries: Sequence[Entry]) -> list[Line]:
    """Return the sentences about some entries, in their order. What a reader need not know has none."""
    return [
        Line(at=entry.occurred_at, words=_(said) % {"who": audit.who(entry)})
        for entry in entries
        if (said := _sentence(entry))
    ]


def _sentence(entry: Entry) -> str:
    match entry.type:
        case "ContactChanged":
            return CHANGED.get(tuple(sorted(entry.data["fields"])), CHANGED_MORE)
        case "OptOutReviewed":
            return REVIEWED[bool(entry.data["opted_out"])]
    return DONE.get(entry.type, "")
