"""Which events are by people, are told of, or have a message sent again.

They stand in the partial indexes of `tables/history.py` and in the statements that use those. Whoever runs such a
statement has no need of the tables' classes, which take a while to make.
"""

from libs.common.domain.events import (
    BroadcastCompleted,
    BroadcastMissed,
    BroadcastPaused,
    MessageSentAgain,
    OptOutSuspected,
)

#: What tells events of people and programs from those of services and carriers.
BY_PEOPLE = "actor NOT LIKE 'service:%' AND actor NOT LIKE 'carrier:%'"
#: The events that people may want to be told of outside the desk.
TOLD = [each.__name__ for each in (BroadcastPaused, BroadcastMissed, BroadcastCompleted, OptOutSuspected)]
IS_TOLD = f"type IN ({', '.join(map(repr, TOLD))})"
#: The event of a message that a person has sent again.
IS_SENT_AGAIN = f"type = '{MessageSentAgain.__name__}'"
