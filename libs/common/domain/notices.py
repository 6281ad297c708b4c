"""Notices: what people are told of outside the desk, by which way, and what became of it."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """What is told."""

    PAUSED = "paused"
    WANTS_APPROVAL = "wants_approval"
    MISSED = "missed"
    MANY_FAILURES = "many_failures"
    LIKELY_OPT_OUTS = "likely_opt_outs"
    FINISHED = "finished"
    TEST = "test"  # asked for on the page, to see whether a way works


#: What somebody can choose to be told of.
CHOSEN: tuple[NoticeKind, ...] = tuple(kind for kind in NoticeKind if kind is not NoticeKind.TEST)


class NoticeChannel(StrEnum):
    """The way that a notice goes."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    MISSIVE = "missive"  # a post in a conversation


class NoticeOutcome(StrEnum):
    """What became of a notice."""

    SENT = "sent"
    NOT_NEEDED = "not_needed"  # by the time it was to go there was nothing to tell, or nobody who wanted it
    GIVEN_UP = "given_up"  # it could not be delivered for a day
