"""What notices say: one table, in an editor's words.

No phone number, no name of a recipient and no word of a text is in a notice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.broadcasts import explanations
from libs.common.domain.notices import NoticeKind
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
    when = _when(facts.run_at, zone) if facts.run_at else f"number {facts.broadcast_id}"
    title, body = WORDS[facts.kind](facts, when)
    if facts.kind is NoticeKind.LIKELY_OPT_OUTS:
        path = "/desk/replies?only=likely-opt-outs"
    elif facts.kind is NoticeKind.TEST:
        path = "/desk/settings/notices"
    else:
        path = f"/desk/broadcasts/{facts.broadcast_id}"
    return Letter(title=title, body=body, path=path)


def _paused(facts: Facts, when: str) -> tuple[str, str]:
    why = f"{facts.doer} paused it" if facts.doer else f"It was paused: {explanations.pause_reason(facts.reason)}"
    return f"Paused: the broadcast of {when}", f"{why}. Nothing more is sent until somebody goes on."


def _wants_approval(facts: Facts, when: str) -> tuple[str, str]:
    who = f"{facts.doer} wrote it" if facts.doer else "It is written"
    return (
        f"Waits for approval: the broadcast of {when}",
        f"{who}, and somebody else has to approve it before it can go out.",
    )


def _missed(facts: Facts, when: str) -> tuple[str, str]:
    why = explanations.missed_reason(facts.reason)
    return f"Did not go out: the broadcast of {when}", f"It did not go out: {why}. You can send it now, or leave it."


def _many_failures(facts: Facts, when: str) -> tuple[str, str]:
    figures = _figures(facts)
    sentence, advice = explanations.failure(facts.code)
    failed, known = _count(figures.failed), _count(figures.known)
    body = f"{failed} of {known} texts whose end is known did not arrive. Most of them: {sentence}. {advice}"
    return f"Many texts fail: the broadcast of {when}", body


def _likely_opt_outs(facts: Facts, _when: str) -> tuple[str, str]:
    who = "1 person" if facts.likely == 1 else f"{_count(facts.likely)} people"
    them = "them" if facts.likely == 1 else "any of them"
    return (
        f"Likely opt-outs: {who}",
        f"{who} may have asked to be left alone. Nothing is sent to {them} until somebody has decided.",
    )


def _finished(facts: Facts, when: str) -> tuple[str, str]:
    figures = _figures(facts)
    got = f"{_count(figures.first)} of {_count(figures.people)} got it"
    if figures.first == figures.people:
        got = f"All {_count(figures.people)} got it"
    if figures.no_word:
        got += f"; of {_count(figures.no_word)} there is no word"
    if missing := figures.people - figures.first - figures.no_word:
        got += f"; {_count(missing)} did not"
    second = f" The follow-up went to {_count(figures.second)}." if figures.second else ""
    return (
        f"Done: the broadcast of {when}",
        f"{got}.{second} Replied: {_count(figures.replies)}. Opted out: {_count(figures.opt_outs)}.",
    )


def _test(_facts: Facts, _when: str) -> tuple[str, str]:
    return "A test notice", "Somebody asked for it under Settings, Notices. What you chose there comes the same way."


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
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def _count(number: int) -> str:
    return f"{number:,}"
