"""What staff write in Missive beside a conversation, as its webhooks tell it. Plain values, no decisions.

A rule for comments sends the `comment` and its `conversation` (https://missiveapp.com/docs/developers/webhooks).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.broadcasts.inbound import strip_nul
from libs.common.carriers import missive_conversations, missive_words
from libs.common.carriers.clocks import Offset
from services.api.webhooks import incoming

#: What staff write beside a conversation to have its person opted out.
UNSUBSCRIBE = re.compile(r"(?<![\w#])#unsubscribe(?!\w)", re.IGNORECASE)
LONGEST_NAME = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What a colleague wrote beside a conversation."""

    id: str
    #: Whose conversation it is, E.164; None where nobody is known by a number.
    phone_number: str | None
    text: str
    #: Who wrote it, as Missive names them; empty where it does not.
    author: str
    written_at: datetime

    @property
    def unsubscribes(self) -> bool:
        """Whether it has the person opted out."""
        return UNSUBSCRIBE.search(self.text) is not None


def comment(payload: Any, own_numbers: Collection[str], now: datetime, offset: Offset) -> Comment | None:
    """Return what a colleague wrote; None if a payload is about something else. Raise MalformedBody."""
    told = incoming.part(payload, "comment")
    comment_id = incoming.identity(told.get("id"))
    if comment_id is None:
        return None
    body, author = told.get("body"), incoming.part(told, "author").get("name")
    messages = [incoming.part(payload, name) for name in ("message", "latest_message")]
    return Comment(
        id=comment_id,
        phone_number=missive_conversations.person(
            incoming.part(payload, "conversation"), own_numbers, messages=messages
        ),
        text=missive_words.plain(strip_nul(body)) if isinstance(body, str) else "",
        author=strip_nul(author)[:LONGEST_NAME].strip() if isinstance(author, str) else "",
        written_at=incoming.time_of(told, now, offset),
    )
