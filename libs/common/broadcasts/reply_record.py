"""The statement that records a reply: one round trip, since replies come by the hundred a second."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from libs.common.broadcasts import unreachable
from libs.common.broadcasts.inbound import Inbound, Verdict
from libs.common.broadcasts.messages import number_of
from libs.common.database import literals
from libs.common.domain import events as e
from libs.common.domain import keyword_phrases
from libs.common.domain.keywords import Wish
from libs.common.domain.states import (
    UNANSWERED,
    UNDECIDED,
    UNSENT,
    Channel,
    ClearedBecause,
    MessageState,
    Review,
    SkipReason,
)
from libs.common.eventstore import projections, store

#: Whether they wrote to the number of a broadcast, as `n`, or to one of the service that sends for it.
_SERVED = "(SELECT s.sending_number_id FROM messaging_services s WHERE s.sid = CAST(:service AS text))"
_WRITTEN_TO = f"(n.phone_number = :to OR n.id = {_SERVED}) IS TRUE"

#: The broadcast that somebody answers: the last one whose first message to them has begun to leave by then, of those
#: from the number that they wrote to, if there are any. Providers' clocks are not ours: one that was sent up to 5
#: seconds after the reply is better than none.
ANSWERED = text(f"""
SELECT m.broadcast_id, m.contact_id
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = {number_of("m", "b")}
WHERE m.recipient_phone_number = :phone_number AND NOT m.is_second
  AND m.attempt_started_at <= CAST(:received_at AS timestamptz) + interval '5 seconds'
  AND m.state IN {literals((*UNANSWERED, MessageState.ACCEPTED))}
ORDER BY {_WRITTEN_TO} DESC, m.attempt_started_at <= :received_at DESC,
         m.attempt_started_at DESC, m.id DESC
LIMIT 1
""")

#: The events that the statement of a reply writes.
_REACHABLE_EVENT = store.appended(
    "reachable",
    source="reachable",
    stream="format('contact-%s', reachable.contact_id)",
    event=e.NumberReachable,
    data=f"jsonb_build_object('contact_id', reachable.contact_id, 'because', '{ClearedBecause.REPLIED}')",
)
_REPLY_EVENT = store.appended(
    "reply",
    source="answering",
    stream="format('broadcast-%s-replies', answering.broadcast_id)",
    event=e.ReplyReceived,
    data="""jsonb_build_object('broadcast_id', answering.broadcast_id, 'reply_id', answering.id,
                               'contact_id', answering.contact_id, 'kind', CAST(:kind AS text))""",
)
_SKIP_EVENT = store.appended(
    "skip",
    source="unsent",
    stream="format('broadcast-%s-messages', unsent.broadcast_id)",
    event=e.MessagesSkipped,
    data=f"""jsonb_build_object('broadcast_id', unsent.broadcast_id, 'message_ids', jsonb_build_array(unsent.id),
                                'reason', '{SkipReason.REPLIED}')""",
)

#: Whether a word has to do with a sign-up: a keyword, or a yes to a question. Such a reply is left to a transaction,
#: which records it with what follows from it; that asks with no word.
_SIGNS_UP = """
CAST(:word AS text) IS NOT NULL AND (
    EXISTS (SELECT FROM sign_up_keywords k WHERE k.word = :word)
    OR (CAST(:is_yes AS boolean) AND EXISTS (SELECT FROM sign_ups u WHERE u.phone_number = :phone_number)))
"""

#: A reply, once, with whose it is and what it answers: a message that is reported twice, or by both providers, is one.
#: Only an SMS answers a broadcast. With it, in the one statement since replies come by the hundred a second: the event
#: that it answers a broadcast, and, if its kind ends the follow-up and no STOP takes out everything anyway, that the
#: second message will not be sent.
_RECORD = f"""
WITH answered AS ({ANSWERED}), reachable AS ({unreachable.REPLIED}), {_REACHABLE_EVENT}, who AS (
    SELECT (SELECT broadcast_id FROM answered WHERE :channel = '{Channel.SMS}') AS broadcast_id,
           coalesce((SELECT contact_id FROM answered),
                    (SELECT id FROM contacts WHERE phone_number = :phone_number)) AS contact_id
), recorded AS (
    INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at, channel, kind,
                         ends_follow_up, provider, written_to, sender, missive_id, words_cut, words_due_at, wish,
                         carrier_word, review, review_reason, missive_conversation_id)
    SELECT :provider_id, :phone_number, contact_id, broadcast_id, :body, :received_at, :channel,
           :kind, CAST(:ends_follow_up AS boolean), :provider, CAST(:to AS text), :sender, :missive_id,
           :words_cut, CAST(:words_due_at AS timestamptz), :wish, :carrier_word, :review, :review_reason,
           :missive_conversation_id
    FROM who WHERE NOT ({_SIGNS_UP})
    ON CONFLICT (provider_id) DO NOTHING
    RETURNING id, broadcast_id, contact_id
), answering AS (
    SELECT id, broadcast_id, contact_id FROM recorded WHERE broadcast_id IS NOT NULL AND contact_id IS NOT NULL
), {_REPLY_EVENT}, open AS (
    SELECT m.id, m.broadcast_id, m.state IN {literals(UNSENT)} AS is_unsent
    FROM answering JOIN reply_event ON true
    JOIN outgoing_messages m ON m.broadcast_id = answering.broadcast_id AND m.contact_id = answering.contact_id
    WHERE m.is_second AND m.state IN {literals(UNDECIDED)} AND CAST(:ends_second AS boolean)
    FOR NO KEY UPDATE OF m
), unsent AS (
    SELECT id, broadcast_id FROM open WHERE is_unsent
), {_SKIP_EVENT}, skipped AS (
    UPDATE outgoing_messages m SET {projections.skipped(f"'{SkipReason.REPLIED}'")}
    FROM unsent WHERE m.id = unsent.id
)
SELECT id, broadcast_id, contact_id, EXISTS (SELECT FROM reachable_event) AS is_reachable,
       EXISTS (SELECT FROM reply_event) AS is_answer, EXISTS (SELECT FROM skip_event) AS is_skipped
FROM recorded
"""
RECORD = text(" ".join(_RECORD.split()))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A reply that was recorded, and what went with it."""

    id: int
    broadcast_id: int | None
    contact_id: int | None
    is_reachable: bool
    is_answer: bool
    is_skipped: bool

    @property
    def events(self) -> list[type[e.Event]]:
        """What was written to the history."""
        written = {
            e.NumberReachable: self.is_reachable,
            e.ReplyReceived: self.is_answer,
            e.MessagesSkipped: self.is_skipped,
        }
        return [event for event, is_written in written.items() if is_written]


def parameters(
    inbound: Inbound,
    verdict: Verdict,
    origin: Mapping[str, Any],
    *,
    ends_follow_up: bool,
    unless_it_signs_up: bool = False,
) -> dict[str, Any]:
    """Return the parameters of `RECORD`; `ends_follow_up` is whether its writer gets no second message for it.

    With `unless_it_signs_up` nothing is recorded of a word by which somebody signs up.
    """
    word = verdict.word if unless_it_signs_up else None
    return {
        "provider_id": inbound.provider_id,
        "phone_number": inbound.phone_number,
        "received_at": inbound.received_at,
        "to": inbound.to,
        "service": inbound.service,
        "body": inbound.body,
        "channel": inbound.channel,
        "kind": verdict.kind,
        "ends_follow_up": ends_follow_up,
        "word": word,
        "is_yes": word in keyword_phrases.YES,
        "provider": inbound.provider,
        "sender": inbound.sender,
        "missive_id": inbound.missive_id if inbound.is_cut else None,
        "missive_conversation_id": inbound.missive_conversation_id,
        "words_cut": inbound.is_cut,
        "words_due_at": origin["now"] if inbound.is_cut and inbound.missive_id else None,
        "wish": verdict.wish,
        "carrier_word": inbound.carrier_word,
        "review": Review.WAITING if verdict.reason else None,
        "review_reason": verdict.reason,
        # A STOP takes out everything, this too.
        "ends_second": ends_follow_up and verdict.wish is not Wish.STOP,
        **origin,
        **store.identity("reply", e.ReplyReceived),
        **store.identity("skip", e.MessagesSkipped),
        **store.identity("reachable", e.NumberReachable),
    }
