"""Why a broadcast waits, and how fast it goes, in words. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from services.api.broadcasts.wait_reasons import WaitReason
from services.api.broadcasts.waiting import Going, PaceLimit
from services.api.desk import times
from services.api.desk.numbers import count, figure

#: What the carriers are called.
CARRIERS = {"missive": "Missive", "twilio": "Twilio"}

#: While these last nothing leaves.
HOLDS = (
    WaitReason.RESTORE, WaitReason.HOLD, WaitReason.QUIET_HOURS, WaitReason.NUMBER_OFF, WaitReason.NUMBER_HOURS,
    WaitReason.DAILY_CAP,
)  # fmt: skip


def held(going: Going, now: datetime, zone: ZoneInfo) -> str:
    """Return why nothing leaves at all, and until when; empty where something does."""
    left = count(going.remaining)
    match going.waits_for:
        case WaitReason.RESTORE:
            said = _(
                "Held: the database was restored, and is not compared with the carriers yet; %(left)s still to go. "
                "Ask whoever runs Broadsheet."
            )
            return said % {"left": left}
        case WaitReason.HOLD if going.until is not None:
            said = ngettext(
                "Goes out at %(when)s to %(num)s person. Until then it can be called back.",
                "Goes out at %(when)s to %(num)s people. Until then it can be called back.",
                going.remaining,
            )
            return said % {"when": times.to_the_second(going.until, now, zone), "num": count(going.remaining)}
        case WaitReason.QUIET_HOURS if going.until is not None:
            held_ = {"when": times.short(going.until, now, zone), "left": left}
            if going.cut_off_at is not None and going.cut_off_at < going.until:
                return (
                    _(
                        "Held until %(when)s (quiet hours). That is more than a day after it began:"
                        " the %(left)s still to go are not sent."
                    )
                    % held_
                )
            if going.expected_end is None:
                return _("Held until %(when)s (quiet hours); %(left)s still to go.") % held_
            ends = times.clock(going.expected_end, now, zone)
            said = _("Held until %(when)s (quiet hours); %(left)s still to go, the last about %(ends)s.")
            return " ".join(filter(None, [said % {**held_, "ends": ends}, cut_off(going, now, zone)]))
        case WaitReason.NUMBER_OFF:
            said = _("Held: the number that it is sent from is switched off; %(left)s still to go. See Settings.")
            return said % {"left": left}
        case WaitReason.NUMBER_HOURS if going.until is not None:
            said = _("Held until %(when)s: the number that it is sent from has its hours; %(left)s still to go.")
            return said % {"when": times.short(going.until, now, zone), "left": left}
        case WaitReason.DAILY_CAP if going.until is not None:
            said = _("Held until tomorrow: our number has sent all that it may send today; %(left)s still to go.")
            return said % {"left": left}
    return ""


def day(going: Going) -> str:
    """Return how many have to wait for another day, of what remains; empty where none has."""
    if going.left_today is None or going.waits_for in HOLDS or going.left_today >= going.remaining:
        return ""
    return ngettext(
        "%(left)s more may be sent today; %(num)s waits for another day.",
        "%(left)s more may be sent today; %(num)s wait for another day.",
        going.remaining - going.left_today,
    ) % {"left": count(going.left_today), "num": count(going.remaining - going.left_today)}


def why(going: Going, now: datetime, zone: ZoneInfo) -> str:
    """Return why it goes on slowly, or not just now, as a sentence; empty where it simply goes on."""
    until = times.to_the_second(going.until, now, zone) if going.until is not None else ""
    match going.waits_for:
        case WaitReason.CARRIER_ERRORS:
            since = times.clock(going.since, now, zone) if going.since is not None else ""
            said = (
                _("%(carrier)s answers with errors since %(since)s; the next try is at %(when)s.")
                if until
                else _("%(carrier)s answers with errors since %(since)s.")
            )
            return said % {"carrier": CARRIERS[going.carrier], "since": since, "when": until}
        case WaitReason.CARRIER_LIMIT:
            return _("%(carrier)s has asked for a break: the next text leaves at %(when)s.") % {
                "carrier": CARRIERS[going.carrier], "when": until,
            }  # fmt: skip
        case WaitReason.PACE:
            said = _("%(limit)s: the next text leaves at %(when)s.") % {"limit": limit(going.limit), "when": until}
            return said[:1].upper() + said[1:]
        case WaitReason.TRY_AGAIN:
            return _("What is left was turned away for now and is tried again at %(when)s.") % {"when": until}
        case WaitReason.REVIEW:
            return ngettext(
                "%(num)s person may have asked to be left alone: somebody has to decide under Replies.",
                "%(num)s people may have asked to be left alone: somebody has to decide under Replies.",
                going.about,
            ) % {"num": count(going.about)}
        case WaitReason.ANSWERS:
            return ngettext(
                "All have left. Of %(num)s we do not know yet: we look it up and do not send it twice.",
                "All have left. Of %(num)s we do not know yet: we look them up and do not send twice.",
                going.about,
            ) % {"num": count(going.about)}
        case WaitReason.STUCK if going.since is not None and going.remaining:
            return _("Nothing has left for %(time)s, and we do not know why. Ask whoever runs Broadsheet.") % {
                "time": times.duration((now - going.since).total_seconds())
            }
        case WaitReason.STUCK:
            return _("All have left, but it does not go on, and we do not know why. Ask whoever runs Broadsheet.")
    return ""


def asleep(going: Going, now: datetime, zone: ZoneInfo) -> str:
    """Return how many wait for the morning where they are while the others are sent to; empty where nobody does."""
    if not going.asleep or going.wakes_at is None or going.waits_for in HOLDS:
        return ""
    said = ngettext(
        "%(num)s person waits for the morning where they are, which comes %(when)s.",
        "%(num)s people wait for the morning where they are, which comes first %(when)s.",
        going.asleep,
    )
    return said % {"num": count(going.asleep), "when": times.short(going.wakes_at, now, zone)}


def cut_off(going: Going, now: datetime, zone: ZoneInfo) -> str:
    """Return from when on what is left is not sent any more; empty where all is likely to have left before."""
    if going.cut_off_at is None:
        return ""
    return _("It takes too long: what has not left by %(when)s (quiet hours) is not sent.") % {
        "when": times.short(going.cut_off_at, now, zone)
    }


def pace(going: Going) -> str:
    """Return how many texts left in the last minute, of how many that might, and by which limit."""
    if not going.remaining or going.waits_for in HOLDS:
        return ""
    said = ngettext(
        "%(num)s text in the last minute, of %(most)s a minute that are allowed: %(limit)s.",
        "%(num)s texts in the last minute, of %(most)s a minute that are allowed: %(limit)s.",
        going.started_lately,
    ) % {
        "num": count(going.started_lately),
        "most": figure(going.limit.a_minute),
        "limit": limit(going.limit),
    }
    if going.shared_by == 1:
        return said
    return said + " " + _("%(num)s broadcasts share them now.") % {"num": count(going.shared_by)}


def limit(limit_: PaceLimit) -> str:
    """Return a limit as people call it."""
    if limit_.carrier is None and limit_.seconds > 1:
        return _("our number's limit of %(rate)s a minute") % {"rate": figure(limit_.a_minute)}
    if limit_.carrier is None:
        return _("our number's limit of %(rate)s a second") % {"rate": figure(limit_.messages)}
    return _("%(carrier)s's limit of %(messages)s in %(span)s") % {
        "carrier": CARRIERS[limit_.carrier],
        "messages": figure(limit_.messages),
        "span": times.duration(limit_.seconds),
    }
