"""What is counted of messages, and what of their statuses, add up."""

from libs.common.broadcasts.explanations import Result
from libs.common.domain.states import MessageState, Outcome, SkipReason
from services.api.broadcasts import outcomes
from services.api.broadcasts.counts import Counted, InState, WithStatus


def in_state(state: MessageState, count: int, reason: SkipReason | None = None, *, is_second: bool = False) -> InState:
    return InState(is_second, state, reason, count, 0, 0, None, None)


COUNTED = Counted(
    messages=[
        in_state(MessageState.PENDING, 5),
        in_state(MessageState.ACCEPTED, 7),
        in_state(MessageState.REFUSED, 2),
        in_state(MessageState.SKIPPED, 3, SkipReason.REPLIED, is_second=True),
        in_state(MessageState.ACCEPTED, 1, is_second=True),
    ],
    statuses=[
        WithStatus(False, Outcome.ACCEPTED, "delivered", None, 4),
        WithStatus(False, Outcome.ACCEPTED, "undelivered", "30007", 2),
        WithStatus(False, Outcome.NOT_HANDED_OVER, None, None, 1),
        WithStatus(False, Outcome.REFUSED, None, "21610", 2),
        WithStatus(True, Outcome.ACCEPTED, None, None, 1),
    ],
)


def test_each_message_is_in_one_group() -> None:
    first, second = outcomes.of(COUNTED)
    assert {group.explanation.key: group.messages for group in first.groups} == {
        "waiting": 5, "delivered": 4, "undelivered-30007": 2, "not-handed-over": 1, "refused-21610": 2
    }  # fmt: skip
    assert {group.explanation.key: group.messages for group in second.groups} == {"skipped-replied": 3, "sent": 1}
    assert (first.planned, second.planned) == (14, 4)


def test_a_group_knows_by_what_its_messages_are_found() -> None:
    first, _second = outcomes.of(COUNTED)
    group = first.group("refused-21610")
    assert group is not None
    assert group.results == (
        Result(
            is_second=False, state=MessageState.REFUSED, skip_reason=None, outcome=Outcome.REFUSED, status=None,
            code="21610",
        ),
    )  # fmt: skip
