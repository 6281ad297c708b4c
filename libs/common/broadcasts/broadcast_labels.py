"""Labels of Missive's that broadcasts name: which id each has, and who is asking Missive about it just now.

One sender at a time asks for a label: two would make it twice. What is known holds for an hour: somebody may have
removed it there, and a message with a label that is none is refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Connection, first_row

HOLDS = timedelta(hours=1)
#: For which whoever asks is left alone. A second one that asks then looks for the label before making it.
ASKED_FOR = timedelta(seconds=30)

ONE = text("SELECT label_id, checked_at, fault FROM missive_labels WHERE name = :name")

#: Lets one caller ask: nobody else does, and what is known is old.
ASK = text("""
INSERT INTO missive_labels AS l (name, asked_until) VALUES (:name, :until)
ON CONFLICT (name) DO UPDATE SET asked_until = excluded.asked_until
WHERE coalesce(l.asked_until, '-infinity') < :now AND coalesce(l.checked_at, '-infinity') < :old
RETURNING name
""")

FOUND = text("""
UPDATE missive_labels SET label_id = :label_id, fault = :fault, checked_at = :now, asked_until = NULL
WHERE name = :name
""")
GIVEN_UP = text("UPDATE missive_labels SET asked_until = NULL, fault = :fault WHERE name = :name")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a label."""

    #: None where Missive would not make it.
    label_id: str | None
    checked_at: datetime | None
    #: Why there is none: a code.
    fault: str | None

    def holds(self, now: datetime) -> bool:
        """Whether it need not be asked for again."""
        return self.checked_at is not None and self.checked_at >= now - HOLDS


async def find(connection: Connection, name: str) -> Known | None:
    """Return what is known of a label."""
    return first_row(await connection.execute(ONE, {"name": name}), Known)


async def ask(connection: Connection, name: str, now: datetime) -> bool:
    """Whether the caller is to ask Missive for a label: nobody else does, and what is known does not hold any more."""
    given = {"name": name, "until": now + ASKED_FOR, "now": now, "old": now - HOLDS}
    return (await connection.execute(ASK, given)).first() is not None


async def found(connection: Connection, name: str, label_id: str | None, fault: str | None, now: datetime) -> None:
    """Note what Missive has said of a label."""
    await connection.execute(FOUND, {"name": name, "label_id": label_id, "fault": fault, "now": now})


async def give_up(connection: Connection, name: str, fault: str) -> None:
    """Note that Missive could not be asked; the next who needs the label asks again."""
    await connection.execute(GIVEN_UP, {"name": name, "fault": fault})
