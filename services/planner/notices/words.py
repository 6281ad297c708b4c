"""What notices say: one table, in an editor's words and the organisation's language.

No phone number, no name of a recipient and no word of a text is in a notice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from libs.common.broadcasts import explanations
from libs.common.catalogue import formats, ngettext, said
from libs.common.catalogue import gettext as _
from libs.common.domain.notices import NoticeKind
from libs.common.texts import gettext_noop as n_
from services.planner.notices.queries import Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a notice is made of."""

    kind: NoticeKind
    broadcast_id: int | None = None
    #: When the broadcast was to go out.
    run_at: datetime | None = None
    reason: str | None = None
    #: The name of the user who did it; None where no user did.
    doer: str | None = None
    figures: Figures | None = None
    #: The code by which most messages failed.
    code: str | None = None
    #: How many have most likely opted out.
    likely: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A notice in words."""

    title: str
    body: str
    #: The page of the desk where something can be done about it, from the root of its address.
    path: str


Write = Callable[[Facts, str], tuple[str, str]]


def letter(facts: Facts, zone: ZoneInfo) -> Letter:
    """Return a notice in words. Times are the organisation's."""
    when = _when(facts.run_at, zone) if facts.run_at else _("number %(number)s") % {"number": facts.broadcast_id}
    title, body = WORDS[facts.kind](facts, when)
    if facts.kind is NoticeKind.LIKELY_OPT_OUTS:
        path = "/desk/replies?only=likely-opt-outs"
    elif facts.kind is NoticeKind.TEST:
        path = "/desk/settings/notices"
    else:
        path = f"/desk/broadcasts/{facts.broadcast_id}"
    return Letter(title=title, body=body, path=path)


def _paused(facts: Facts, when: str) -> tuple[str, str]:
    body = (
        _("%(who)s paused it. Nothing more is sent until somebody goes on.") % {"who": facts.doer}
        if facts.doer
        else _("It was paused: %(why)s. Nothing more is sent until somebody goes on.")
        % {"why": said(explanations.pause_reason(facts.reason))}
    )
    return _("Paused: the broadcast of %(when)s") % {"when": when}, body


def _wants_approval(facts: Facts, when: str) -> tuple[str, str]:
    body = (
        _("%(who)s wrote it, and somebody else has to approve it before it can go out.") % {"who": facts.doer}
        if facts.doer
        else _("It is written, and somebody has to approve it before it can go out.")
    )
    return _("Waits for approval: the broadcast of %(when)s") % {"when": when}, body


def _missed(facts: Facts, when: str) -> tuple[str, str]:
    why = said(explanations.missed_reason(facts.reason))
    return (
        _("Did not go out: the broadcast of %(when)s") % {"when": when},
        _("It did not go out: %(why)s. You can send it now, or leave it.") % {"why": why},
    )


def _many_failures(facts: Facts, when: str) -> tuple[str, str]:
    figures = _figures(facts)
    sentence, advice = explanations.failure(facts.code)
    body = _(
        "%(failed)s of %(known)s texts whose end is known did not arrive. Most of them: %(sentence)s. %(advice)s"
    ) % {
        "failed": _count(figures.failed),
        "known": _count(figures.known),
        "sentence": said(sentence),
        "advice": said(advice),
    }  # fmt: skip
    return _("Many texts fail: the broadcast of %(when)s") % {"when": when}, body


def _likely_opt_outs(facts: Facts, _when: str) -> tuple[str, str]:
    title = ngettext("Likely opt-outs: %(num)s person", "Likely opt-outs: %(num)s people", facts.likely)
    body = ngettext(
        "%(num)s person may have asked to be left alone. Nothing is sent to them until somebody has decided.",
        "%(num)s people may have asked to be left alone. Nothing is sent to any of them until somebody has decided.",
        facts.likely,
    )
    return title % {"num": _count(facts.likely)}, body % {"num": _count(facts.likely)}


def _finished(facts: Facts, when: str) -> tuple[str, str]:
    figures = _figures(facts)
    missing = figures.people - figures.first - figures.no_word
    got = _(GOT[figures.first == figures.people, bool(figures.no_word), bool(missing)]) % {
        "got": _count(figures.first),
        "people": _count(figures.people),
        "open": _count(figures.no_word),
        "missing": _count(missing),
    }
    second = _("The follow-up went to %(num)s.") % {"num": _count(figures.second)} if figures.second else ""
    answers = _("Replied: %(replied)s. Opted out: %(out)s.") % {
        "replied": _count(figures.replies),
        "out": _count(figures.opt_outs),
    }
    return _("Done: the broadcast of %(when)s") % {"when": when}, " ".join(filter(None, (got, second, answers)))


def _test(_facts: Facts, _when: str) -> tuple[str, str]:
    return (
        _("A test notice"),
        _("Somebody asked for it under Settings, Notices. What you chose there comes the same way."),
    )


#: Who got it, by whether all did, whether there is no word of some, and whether some did not.
GOT: Mapping[tuple[bool, bool, bool], str] = {
    (True, False, False): n_("All %(people)s got it."),
    (False, False, False): n_("%(got)s of %(people)s got it."),
    (False, True, False): n_("%(got)s of %(people)s got it; of %(open)s there is no word."),
    (False, False, True): n_("%(got)s of %(people)s got it; %(missing)s did not."),
    (False, True, True): n_("%(got)s of %(people)s got it; of %(open)s there is no word; %(missing)s did not."),
}

#: Kind to title and body. The second argument is which broadcast it is, as a person says it.
WORDS: Mapping[NoticeKind, Write] = {
    NoticeKind.PAUSED: _paused,
    NoticeKind.WANTS_APPROVAL: _wants_approval,
    NoticeKind.MISSED: _missed,
    NoticeKind.MANY_FAILURES: _many_failures,
    NoticeKind.LIKELY_OPT_OUTS: _likely_opt_outs,
    NoticeKind.FINISHED: _finished,
    NoticeKind.TEST: _test,
}


def _figures(facts: Facts) -> Figures:
    assert facts.figures is not None
    return facts.figures


def _when(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return _("%(day)s, %(clock)s") % {
        "day": format_date(local, _("EEE d MMM"), formats()),
        "clock": format_time(local, _("HH:mm"), locale=formats()),
    }


def _count(number: int) -> str:
    return str(format_decimal(number, locale=formats()))
