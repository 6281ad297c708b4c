"""The one sentence at the top of a broadcast that is always true. Pure: facts in, words out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from libs.common.broadcasts import explanations
from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from libs.common.domain.states import BroadcastState
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts.wait_reasons import WaitReason
from services.api.broadcasts.waiting import Going
from services.api.desk import times, waits
from services.api.desk.numbers import count


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCount:
    """How far one message is."""

    planned: int = 0
    delivered: int = 0
    #: Handed to the carrier, without word whether it was delivered.
    sent: int = 0
    #: On its way to the carrier, or without its answer.
    unanswered: int = 0
    #: What may still be sent.
    remaining: int = 0
    #: What went wrong, or is not to be sent.
    without: int = 0

    @property
    def no_word(self) -> int:
        """Of how many nobody can say yet whether they got it."""
        return self.sent + self.unanswered

    @property
    def did_not(self) -> int:
        """How many did not get it, and will not once nothing more is sent."""
        return self.planned - self.delivered - self.no_word


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A pause, or a cancel."""

    at: datetime
    #: Who pressed it; None where no person did.
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the sentence needs to know."""

    state: str
    run_at: datetime
    is_draft: bool = False
    first: PhaseCount = PhaseCount()
    second: PhaseCount = PhaseCount()
    has_follow_up: bool = True
    second_due_at: datetime | None = None
    pause_reason: str | None = None
    paused: Stopped | None = None
    cancelled: Stopped | None = None
    missed_reason: str | None = None
    #: How it goes on; None where it does not send.
    going: Going | None = None


#: A state as a tag: the kind of its colour and shape, and its words, which the page looks up.
TAGS: dict[str, tuple[str, str]] = {
    BroadcastState.SCHEDULED: ("", n_("Scheduled")),
    BroadcastState.SENDING_FIRST: ("going", n_("Sending")),
    BroadcastState.WAITING: ("going", n_("Waiting for replies")),
    BroadcastState.SENDING_SECOND: ("going", n_("Sending the follow-up")),
    BroadcastState.SYNCING: ("going", n_("Collecting reports")),
    BroadcastState.COMPLETED: ("good", n_("Done")),
    BroadcastState.PAUSED: ("paused", n_("Paused")),
    BroadcastState.CANCELLED: ("", n_("Cancelled")),
    BroadcastState.MISSED: ("care", n_("Did not go out")),
}


#: How far a message is, by whether some do not get it, whether some are left, and whether its end is known.
SENDING = {
    (False, False, False): n_("%(doing)s: %(got)s of %(planned)s have it."),
    (False, False, True): n_("%(doing)s: %(got)s of %(planned)s have it, the last about %(when)s."),
    (False, True, False): n_("%(doing)s: %(got)s of %(planned)s have it, %(left)s still to go."),
    (False, True, True): n_(
        "%(doing)s: %(got)s of %(planned)s have it, %(left)s still to go, the last about %(when)s."
    ),
    (True, False, False): n_("%(doing)s: %(got)s of %(planned)s have it, %(without)s will not get it."),
    (True, False, True): n_(
        "%(doing)s: %(got)s of %(planned)s have it, %(without)s will not get it, the last about %(when)s."
    ),
    (True, True, False): n_(
        "%(doing)s: %(got)s of %(planned)s have it, %(without)s will not get it, %(left)s still to go."
    ),
    (True, True, True): n_(
        "%(doing)s: %(got)s of %(planned)s have it, %(without)s will not get it, %(left)s still to go,"
        " the last about %(when)s."
    ),
}

#: Who got a message, by whether there is no word of some, and whether some did not get it.
ENDED: dict[tuple[bool, bool], str] = {
    (False, False): n_("All %(planned)s got it."),
    (False, True): n_("%(got)s of %(planned)s got it; %(missing)s did not."),
    (True, False): n_("%(got)s of %(planned)s got it; of %(open)s there is no word."),
    (True, True): n_("%(got)s of %(planned)s got it; of %(open)s there is no word; %(missing)s did not."),
}

#: A broadcast that sends, while nothing leaves.
HELD = ("paused", n_("Held"))
#: One that ought to go on, and does not.
STUCK = ("care", n_("Does not go on"))
LATE = timedelta(minutes=2)  # after its time, when something should have begun
#: One that is scheduled, and goes to nobody.
DRAFT = ("", n_("Draft"))


def tag(facts: Facts, now: datetime) -> tuple[str, str]:
    """Return the state of a broadcast as a tag."""
    if facts.is_draft:
        return DRAFT
    waits_for = facts.going.waits_for if facts.going is not None else None
    is_late = (facts.state == BroadcastState.SCHEDULED and late(facts.run_at, now)) or (
        facts.state == BroadcastState.WAITING and late(facts.second_due_at, now)
    )
    if is_late or waits_for == WaitReason.STUCK:
        return STUCK
    return HELD if waits_for in waits.HOLDS else TAGS[facts.state]


def late(time: datetime | None, now: datetime) -> bool:
    """Whether something should have begun long before `now`."""
    return time is not None and now - time > LATE


def broadcast(facts: Facts, now: datetime, zone: ZoneInfo) -> str:
    """Return what is happening, in one sentence or two."""
    match facts.state:
        case BroadcastState.SCHEDULED if facts.is_draft:
            return _("A draft. It goes to nobody until it is scheduled.")
        case BroadcastState.SCHEDULED:
            return _scheduled(facts, now, zone)
        case BroadcastState.SENDING_FIRST:
            doing = _("Sending the first message") if facts.has_follow_up else _("Sending")
            return _sending(doing, facts.first, facts, now, zone)
        case BroadcastState.WAITING:
            if facts.second_due_at is not None and late(facts.second_due_at, now):
                return _("The follow-up should have begun %(when)s, and has not. Ask whoever runs Broadsheet.") % {
                    "when": times.short(facts.second_due_at, now, zone)
                }
            if facts.second_due_at is None:
                return _("Waiting for replies.")
            when = times.clock(facts.second_due_at, now, zone)
            return _("Waiting for replies until %(when)s. Then the follow-up goes to those who have not replied.") % {
                "when": when
            }
        case BroadcastState.SENDING_SECOND:
            return _sending(_("Sending the follow-up"), facts.second, facts, now, zone)
        case BroadcastState.SYNCING:
            return f"{_('Sent. Collecting delivery reports.')} {_ended(facts.first)}"
        case BroadcastState.PAUSED:
            return _paused(facts, now, zone)
        case BroadcastState.MISSED:
            return _("Did not go out: %(why)s.") % {"why": missed_reason(facts.missed_reason)}
        case BroadcastState.CANCELLED:
            return _cancelled(facts, now, zone)
    return f"{_('Done.')} {_ended(facts.first)}"


def missed_reason(reason: str | None) -> str:
    """Return why a broadcast did not go out, in words."""
    return _(explanations.missed_reason(reason))


def pause_reason(reason: str | None) -> str:
    """Return why a broadcast was paused, in words."""
    return _(explanations.pause_reason(reason))


def _paused(facts: Facts, now: datetime, zone: ZoneInfo) -> str:
    remaining = facts.first.remaining + facts.second.remaining
    left = ngettext("%(left)s text still to go.", "%(left)s texts still to go.", remaining) % {"left": count(remaining)}
    why = pause_reason(facts.pause_reason)
    if facts.paused is None:
        return _("Paused: %(why)s.") % {"why": why} + f" {left}"
    when = times.short(facts.paused.at, now, zone)
    if facts.paused.by:
        return _("Paused by %(who)s, %(when)s.") % {"who": facts.paused.by, "when": when} + f" {left}"
    return _("Paused %(when)s: %(why)s.") % {"when": when, "why": why} + f" {left}"


def _cancelled(facts: Facts, now: datetime, zone: ZoneInfo) -> str:
    ended = _ended(facts.first) if facts.first.planned else _("Nothing had been sent.")
    if facts.cancelled is None:
        return f"{_('Cancelled.')} {ended}"
    when = times.short(facts.cancelled.at, now, zone)
    if facts.cancelled.by:
        return _("Cancelled by %(who)s, %(when)s.") % {"who": facts.cancelled.by, "when": when} + f" {ended}"
    return _("Cancelled %(when)s.") % {"when": when} + f" {ended}"


def _scheduled(facts: Facts, now: datetime, zone: ZoneInfo) -> str:
    return overdue(facts.run_at, now, zone) or _("Scheduled for %(when)s.") % {
        "when": times.short(facts.run_at, now, zone)
    }


def overdue(run_at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return that a scheduled broadcast should have begun, and has not; empty where its time is not over."""
    if not late(run_at, now):
        return ""
    return _("It should have begun %(when)s, and has not. Ask whoever runs Broadsheet.") % {
        "when": times.short(run_at, now, zone)
    }


def _sending(doing: str, phase: PhaseCount, facts: Facts, now: datetime, zone: ZoneInfo) -> str:
    going = facts.going
    if going is not None and (held := waits.held(going, now, zone)):
        return held
    ends = going.expected_end if going is not None else None
    said = _(SENDING[bool(phase.without), bool(phase.remaining), ends is not None]) % {
        "doing": doing,
        "got": count(phase.delivered + phase.sent),
        "planned": count(phase.planned),
        "without": count(phase.without),
        "left": count(phase.remaining),
        "when": times.clock(ends, now, zone) if ends is not None else "",
    }
    more = (
        [waits.why(going, now, zone), waits.day(going), waits.asleep(going, now, zone), waits.cut_off(going, now, zone)]
        if going is not None
        else []
    )
    return " ".join([said, *filter(None, more)])


def _ended(phase: PhaseCount) -> str:
    """Return who got it, of whom there is no word, and who did not: together all that were planned."""
    return _(ENDED[bool(phase.no_word), bool(phase.did_not)]) % {
        "got": count(phase.delivered),
        "planned": count(phase.planned),
        "open": count(phase.no_word),
        "missing": count(phase.did_not),
    }
