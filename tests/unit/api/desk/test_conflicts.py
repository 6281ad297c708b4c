"""What cannot be done to a broadcast is said in the desk's words, with what can be."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from libs.common.domain import broadcast as rules
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.states import BroadcastState
from libs.common.errors import NotInState
from services.api.desk import conflicts
from tests.unit.common.domain.test_broadcast import NOW, SCHEDULED

ASKED: list[Callable[[Broadcast], object]] = [
    lambda broadcast: rules.edit(broadcast, rules.unchanged(broadcast)),
    rules.stop_repeating,
    lambda broadcast: rules.approve(broadcast, "bo"),
    lambda broadcast: rules.may_make(broadcast, by_hand=True),
    lambda broadcast: rules.call_back(broadcast, attempted=0, have_it=0, planned=3),
    rules.pause,
    rules.resume,
    lambda broadcast: rules.cancel(broadcast, None),
]


@pytest.mark.parametrize("state", BroadcastState)
def test_whatever_is_asked_for_in_a_state_is_answered_without_a_word_of_the_code(state: BroadcastState) -> None:
    scheduled = rules.fold([(SCHEDULED, NOW)])
    assert scheduled is not None
    answered = []
    for ask in ASKED:
        try:
            ask(replace(scheduled, state=state))
        except NotInState as error:
            answered.append(" ".join(conflicts.words(error)))
    assert answered
    assert not [said for said in answered for word in BroadcastState if "_" in word and word in said]
    assert all(said.startswith("The broadcast cannot") for said in answered)
