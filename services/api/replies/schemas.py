"""What the API says of a reply."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from libs.common.domain.states import CarrierWord, Channel, MessageState, ReplyKind, Review
from services.api.http.fields import NO_NUL, Id, Moment, PhoneNumber
from services.api.schemas import Body, MessageBody, Person


class Reply(Struct, kw_only=True):
    """Something that somebody wrote to us, or a notice that a number is held back."""

    id: int
    received_at: Moment
    #: What it came by. Only an SMS is a reply to a broadcast; a `notice` is nothing that a person wrote.
    channel: Channel
    #: What it is: a person's own words, or what a phone, a network or a company's machine made.
    kind: ReplyKind
    #: Whether its writer gets no follow-up for it.
    ends_follow_up: bool
    phone_number: PhoneNumber | None
    #: Which of our numbers they wrote to, where the provider tells it: an answer leaves from it.
    written_to: PhoneNumber | None
    #: Who wrote, where that is no phone number.
    sender: str | None
    contact_id: int | None
    name: str | None
    #: The broadcast that it answers, whether it came after its follow-up, and by which segment its writer was chosen.
    broadcast_id: int | None
    is_second: bool | None
    segment_id: int | None
    segment: str | None
    #: The text that it answers: the last that had begun to leave for its writer.
    answers: str | None
    body: str
    #: Whether the words are the beginning of what was written; the rest is asked for.
    words_cut: bool
    #: What its words, or the carrier's word for it, ask for.
    wish: Literal["stop", "start"] | None
    carrier_word: CarrierWord | None
    #: Whether a person has to look: nothing leaves for the number until then.
    likely_opt_out: bool
    #: Why it is, or was, likely to ask for a stop.
    why: str | None
    #: What became of it where it was likely to ask for a stop.
    review: Review | None
    reviewed_at: Moment | None
    reviewed_by: str | None
    read_at: Moment | None
    read_by: str | None
    #: Whose it is to answer: a user; and who says so.
    assigned_to: int | None
    assigned_to_name: str | None
    assigned_by: str | None
    done_at: Moment | None
    done_by: str | None
    #: Where it stands in Missive, if that is known.
    missive_url: str | None
    #: Whether the number has opted out, by whatever.
    opted_out: bool


class Decision(Person):
    """Who decides about a reply, and why."""

    #: Kept with the consent.
    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] = ""


class Assignment(Body):
    """To whom a reply is handed; to nobody any more without a user."""

    by: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    user_id: Id | None


class NewAnswer(Body):
    """What is to be answered."""

    by: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    body: MessageBody


class Answer(Struct, kw_only=True):
    """An answer to a reply, and what became of it."""

    id: int
    reply_id: int
    body: str
    asked_at: Moment
    state: MessageState
    #: What became of it, in words.
    outcome: str
