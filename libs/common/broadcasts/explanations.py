"""What became of a message, in a sentence, with what to do about it.

Pages, reports, CSV and the command line all have their words from here. They are an editor's words.
A code stands behind the sentence, never in its place.
"""

from dataclasses import dataclass

from libs.common.broadcasts.outcome_kinds import Kind
from libs.common.carriers import error_codes
from libs.common.domain.states import DELIVERED, UNDELIVERED, LeftOut, MessageState, Outcome, PauseReason, SkipReason
from libs.common.texts import gettext_noop as n_


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is on record of a message: the columns that decide its explanation."""

    is_second: bool
    state: str
    skip_reason: str | None
    outcome: str | None
    status: str | None
    code: str | None
    #: Whether its phase still runs, so that it may yet be sent again; None where nobody has asked.
    phase_runs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An outcome in words."""

    #: Stands for the outcome in an address: `delivered`, `skipped-replied`, `failed-30003`.
    key: str
    kind: Kind
    sentence: str
    #: What to do about it; empty where there is nothing to do.
    advice: str = ""
    #: The carrier's code, where there is one.
    code: str | None = None


NOTHING_TO_DO = ""
ASK = n_("Ask whoever runs Broadsheet: something about our account or number has to be put right.")

#: A number is who somebody is here: another number is another entry.
NEW_NUMBER = n_("Ask them for their number, and add it by import.")
MOBILE_NUMBER = n_("Ask them for a mobile number, and add it by import.")

#: Why a message was not sent, by reason: sentence of a first message, of a follow-up, advice.
SKIPPED: dict[SkipReason, tuple[str, str, str]] = {
    SkipReason.REPLIED: (n_("Not sent: they replied"), n_("No follow-up: they replied"), NOTHING_TO_DO),
    SkipReason.OPTED_OUT: (n_("No text: they opted out"), n_("No text: they opted out"), NOTHING_TO_DO),
    SkipReason.FIRST_REFUSED: (
        n_("Not sent: the first one failed"), n_("No follow-up: the first one failed"),
        n_("See what became of the first message."),
    ),
    SkipReason.QUIET_HOURS: (
        n_("Not sent: it would have been too late"), n_("Not sent: it would have been too late"),
        n_("Start earlier in the day, or write to fewer people: the quiet hours came before all had it."),
    ),
    SkipReason.CANCELLED: (n_("Not sent: cancelled"), n_("Not sent: cancelled"), NOTHING_TO_DO),
    SkipReason.PHASE_OVER: (
        n_("Not sent: the broadcast had gone on"), n_("Not sent: the broadcast had gone on"),
        n_("We did not know for a quarter of an hour whether it had gone out, and it had not."),
    ),
    SkipReason.ERASED: (n_("Erased on request"), n_("Erased on request"), NOTHING_TO_DO),
    SkipReason.HELD_FOR_REVIEW: (
        n_("Not sent: they may have asked to be left alone"), n_("Not sent: they may have asked to be left alone"),
        n_("Read what they wrote and decide: their reply is under likely opt-outs."),
    ),
    SkipReason.NOT_HANDED_OVER: (
        n_("Not sent: the first one never reached the phone company"),
        n_("No follow-up: the first one never reached the phone company"),
        n_("Most likely they told the phone company to stop our texts."),
    ),
    SkipReason.NUMBER_UNREACHABLE: (
        n_("Not sent: the number takes no texts"), n_("No follow-up: the number takes no texts"),
        n_("Ask them for another number, and add it by import. Does it take texts again, say so on their page."),
    ),
    SkipReason.TOO_LATE: (
        n_("Not sent: it was too late in the day where this person is"),
        n_("No follow-up: it was too late in the day where this person is"),
        n_("Start earlier in the day, or have it wait for the morning where they are."),
    ),
}  # fmt: skip

#: Why somebody of a broadcast's segments is not drawn.
LEFT_OUT: dict[LeftOut, str] = {
    LeftOut.OPTED_OUT: n_("They opted out"),
    LeftOut.HELD: n_("They may have opted out, and nobody has decided yet"),
    LeftOut.UNREACHABLE: n_("Their numbers take no texts"),
    LeftOut.EXCLUDED: n_("They are in a group that is left out of this broadcast"),
    LeftOut.CAPPED: n_("They would get more texts than one person may get within these days"),
}
#: The carrier's codes as an editor understands them: sentence, advice. Codes that are not here have the words of
#: `error_codes`, and the advice to ask.
FAILED: dict[str, tuple[str, str]] = {
    "30003": (n_("Phone off or out of reach"), n_("Nothing to do: the next broadcast may reach them.")),
    "30004": (
        n_("They, or their phone company, block our texts"),
        n_("Ask them another way whether they want our texts."),
    ),
    "30005": (n_("Number does not exist any more"), NEW_NUMBER),
    "30006": (n_("Landline: cannot get texts"), MOBILE_NUMBER),
    "30007": (
        n_("Blocked by the phone companies: the text looks like spam to them"),
        n_("Write without link shorteners and capitals, and ask whoever runs Broadsheet."),
    ),
    "30008": (
        n_("Their phone company could not deliver it and does not say why"),
        n_("Nothing to do: the next may reach them."),
    ),
    "30022": (n_("Faster than the phone companies allow us"), n_("Ask whoever runs Broadsheet to lower the rate.")),
    "30023": (
        n_("Our limit of texts for the day is used up"),
        n_("Send the rest tomorrow, or ask whoever runs Broadsheet."),
    ),
    "30032": (n_("Our number is not verified with the phone companies"), ASK),
    "30034": (n_("Blocked by the phone companies: our number is not registered"), ASK),
    "30036": (
        n_("Not sent in time: it would have come in their quiet hours"),
        n_("Nothing to do: the next broadcast may reach them."),
    ),
    "30410": (n_("Their phone company did not answer"), n_("Nothing to do: the next broadcast may reach them.")),
    "21211": (n_("Not a phone number"), NEW_NUMBER),
    "21265": (n_("A short number of a company, not a person's phone"), n_("Take it off the list.")),
    "21266": (n_("Our own number"), n_("Take it off the list.")),
    "21408": (
        n_("We may not text that country"),
        n_("Ask whoever runs Broadsheet whether that country is to be allowed."),
    ),
    "21610": (
        n_("They told the phone company to stop our texts"),
        n_("They can write START to our number to get texts again."),
    ),
    "21612": (n_("There is no way from our number to theirs"), NEW_NUMBER),
    "21614": (n_("The number cannot get texts"), MOBILE_NUMBER),
    "21635": (n_("Landline: cannot get texts"), MOBILE_NUMBER),
}
#: What to do about a message of which nothing is known, by whether its phase still runs.
UNCERTAIN: dict[bool | None, str] = {
    None: n_("We look it up and do not send it twice."),
    True: n_("We look it up and do not send it twice. Send it again to those who tell you that they have nothing."),
    False: n_("We look it up. It is too late to send it again: ask them another way whether they have it."),
}
UNLISTED = n_("Refused, and we do not know why")
NO_CODE = (
    n_("Not delivered, and the phone company does not say why"),
    n_("Nothing to do: the next broadcast may reach them."),
)

#: Why a broadcast did not go out.
MISSED = {
    "day_over": n_("its day went by"),
    "empty_draw": n_("nobody could be drawn"),
    "unrenderable": n_("some of the people lack a value that its messages name"),
    "not_approved": n_("nobody had approved it"),
    "called_back": n_("it was called back before anybody had it"),
}
#: Why a broadcast was paused. Other reasons are the carrier's codes.
PAUSED = {
    PauseReason.STAFF: n_("by hand"),
    PauseReason.NOT_HANDED_OVER: n_("Missive takes our texts, and the phone company never gets them"),
    PauseReason.RECONCILED: n_("it was made again after a restore, before its time"),
}


#: The key of what is on its way to the carrier.
STARTING = "starting"


def missed_reason(reason: str | None) -> str:
    """Return why a broadcast did not go out, in words."""
    return MISSED.get(reason or "", MISSED["day_over"])


def pause_reason(reason: str | None) -> str:
    """Return why a broadcast was paused, in words."""
    known = PAUSED.get(PauseReason(reason)) if reason in PAUSED else None
    return known or (failure(reason)[0] if reason else PAUSED[PauseReason.STAFF])


def explain(result: Result) -> Explanation:
    """Return what became of a message, in words."""
    match result.state:
        case MessageState.PENDING | MessageState.CLAIMED:
            return Explanation(key="waiting", kind=Kind.WAITING, sentence=n_("Not sent yet"))
        case MessageState.STARTED:
            return Explanation(key=STARTING, kind=Kind.WAITING, sentence=n_("On its way to the phone company"))
        case MessageState.UNCERTAIN:
            return Explanation(
                key="uncertain",
                kind=Kind.UNKNOWN,
                sentence=n_("We do not know yet: the carrier did not answer"),
                advice=UNCERTAIN[result.phase_runs],
            )
        case MessageState.SKIPPED:
            return _skipped(SkipReason(result.skip_reason or ""), is_second=result.is_second)
        case MessageState.REFUSED:
            return _failed("refused", result.code)
        case _:
            return _accepted(result)


def _accepted(result: Result) -> Explanation:
    if result.outcome == Outcome.NOT_HANDED_OVER:
        return Explanation(
            key="not-handed-over",
            kind=Kind.FAILED,
            sentence=n_("Taken by Missive, and never handed to the phone company"),
            advice=n_("Most likely they told the phone company to stop our texts."),
        )
    if result.status in DELIVERED:
        return Explanation(key="delivered", kind=Kind.DELIVERED, sentence=n_("Delivered"))
    if result.status in UNDELIVERED:
        return _failed("undelivered", result.code)
    return Explanation(key="sent", kind=Kind.SENT, sentence=n_("Sent; no word yet whether it was delivered"))


def _skipped(reason: SkipReason, *, is_second: bool) -> Explanation:
    first, second, advice = SKIPPED[reason]
    return Explanation(
        key=f"skipped-{reason}", kind=Kind.NOT_SENT, sentence=second if is_second else first, advice=advice
    )


def _failed(how: str, code: str | None) -> Explanation:
    sentence, advice = failure(code)
    return Explanation(key=f"{how}-{code or 'unknown'}", kind=Kind.FAILED, sentence=sentence, advice=advice, code=code)


def failure(code: str | None) -> tuple[str, str]:
    """Return a sentence and an advice for a carrier's code; `None` where it gave none."""
    if not code or code == "unknown":
        return NO_CODE
    if code in FAILED:
        return FAILED[code]
    known = error_codes.classify(code)
    return (UNLISTED if known is error_codes.UNLISTED else known.text), ASK
