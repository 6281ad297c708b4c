"""The history of a broadcast as sentences: what happened, when, and who did it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from libs.common.domain import events as e
from libs.common.domain.actors import ActorKind
from libs.common.domain.events import Event
from libs.common.domain.states import PauseReason
from services.api.broadcasts.history import Step, Tried
from services.api.desk import sentences, times
from services.api.desk.numbers import count
from services.api.desk.sentences import Stopped

#: What did it where no person did.
PROGRAMS = (ActorKind.SERVICE, ActorKind.CARRIER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    at: datetime
    words: str
    #: Whether a person, or a program of theirs, did it.
    by_person: bool


def lines(steps: Sequence[Step], now: datetime, zone: ZoneInfo) -> list[Line]:
    """Return the sentences about some steps, in their order. What a reader need not know has none."""
    found = ((step, words(step, now, zone)) for step in steps)
    return [Line(at=step.at, words=said, by_person=step.actor.kind not in PROGRAMS) for step, said in found if said]


def who(step: Step) -> str:
    """Return who did it, as people are called."""
    match step.actor.kind:
        case ActorKind.USER:
            return step.name or _("Somebody who is no user any more")
        case ActorKind.KEY:
            return _("The program “%(name)s”") % {"name": step.actor.name}
        case ActorKind.CONSOLE:
            return _("%(name)s (command line)") % {"name": step.actor.name}
    return _("Broadsheet")


def paused(steps: Sequence[Step]) -> Stopped | None:
    """Return when it was paused last, of steps that begin with the newest, and by whom where a person did it."""
    return _last(steps, e.BroadcastPaused)


def cancelled(steps: Sequence[Step]) -> Stopped | None:
    """Return when it was cancelled, and by whom where a person did it."""
    return _last(steps, e.BroadcastCancelled)


def _last(steps: Sequence[Step], kind: type[Event]) -> Stopped | None:
    last = next((step for step in steps if isinstance(step.event, kind)), None)
    if last is None:
        return None
    return Stopped(at=last.at, by=who(last) if last.actor.kind not in PROGRAMS else None)


def words(step: Step, now: datetime, zone: ZoneInfo) -> str:
    """Return what happened, in a sentence; empty where a reader need not know."""
    did = {"who": who(step)}
    match step.event:
        case e.BroadcastScheduled(draft=True):
            return _("%(who)s saved it as a draft.") % did
        case e.BroadcastEdited(draft=True):
            return _("%(who)s changed it, as a draft.") % did
        case e.BroadcastScheduled(run_at=at):
            return _("%(who)s scheduled it for %(when)s.") % {**did, "when": times.short(at, now, zone)}
        case e.BroadcastEdited(run_at=at):
            return _("%(who)s changed it. It is set for %(when)s.") % {**did, "when": times.short(at, now, zone)}
        case e.RepeatingStopped():
            return _("%(who)s stopped the repeating: it goes out once more, and not again.") % did
        case e.BroadcastApproved():
            return _("%(who)s approved it.") % did
        case e.BroadcastMade(recipients=people):
            said = ngettext(
                "%(who)s began to send it to %(num)s person.", "%(who)s began to send it to %(num)s people.", people
            )
            return said % {**did, "num": count(people)}
        case e.BroadcastCalledBack():
            return _("%(who)s called it back. Nobody got it.") % did
        case e.BroadcastMissed(reason=reason):
            return _("It did not go out: %(why)s.") % {"why": sentences.missed_reason(reason)}
        case e.MessageSentAgain(by=by, reason=why):
            again = (
                _("%(who)s sent a text again of which nobody knew whether it went out: “%(why)s”.")
                if why
                else _("%(who)s sent a text again of which nobody knew whether it went out.")
            )
            return again % {"who": by, "why": why}
        case Tried(messages=texts):
            said = ngettext("%(who)s asked for %(num)s test of it.", "%(who)s asked for %(num)s tests of it.", texts)
            return said % {**did, "num": count(texts)}
        case e.BroadcastPaused(reason=PauseReason.STAFF):
            return _("%(who)s paused it.") % did
        case e.BroadcastPaused(reason=reason):
            return _("Broadsheet paused it: %(why)s.") % {"why": sentences.pause_reason(reason)}
        case e.BroadcastResumed():
            return _("%(who)s went on with it.") % did
        case e.BroadcastCancelled():
            return _("%(who)s cancelled it.") % did
        case e.PhaseFinished(is_second=False, second_due_at=None):
            return _("The message was done.")
        case e.PhaseFinished(is_second=False):
            return _("The first message was done.")
        case e.SecondPhaseStarted():
            return _("The follow-up began.")
        case e.PhaseFinished():
            return _("The follow-up was done.")
        case e.BroadcastCompleted():
            return _("The delivery reports are in.")
    return ""
