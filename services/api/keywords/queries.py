"""Keywords by which people sign up, as staff see them."""

from sqlalchemy import text

from libs.common.database import Connection, all_rows, first_row
from libs.common.errors import NotFound
from services.api.keywords.schemas import Keyword

#: Adds a keyword; no row where there is one of its word.
ADD = text("""
INSERT INTO sign_up_keywords (word, tag, welcome, question) VALUES (:word, :tag, :welcome, :question)
ON CONFLICT DO NOTHING RETURNING id, word, tag, welcome, question, created_at
""")

_SELECT = "SELECT id, word, tag, welcome, question, created_at FROM sign_up_keywords"
ONE = text(f"{_SELECT} WHERE id = :id")
#: A page of keywords, oldest first.
PAGE = text(f"{_SELECT} WHERE id > :after ORDER BY id LIMIT :limit")

#: One keyword, which stays as it is until the transaction ends: whoever texts it waits.
LOCK = text("SELECT id FROM sign_up_keywords WHERE id = :id FOR UPDATE")

#: Writes a keyword anew; no row where another one has the word.
CHANGE = text("""
UPDATE sign_up_keywords SET word = :new_word, tag = :new_tag, welcome = :new_welcome, question = :new_question
WHERE id = :id AND NOT EXISTS (SELECT FROM sign_up_keywords o WHERE o.word = :new_word AND o.id <> :id)
""")

DELETE = text("DELETE FROM sign_up_keywords WHERE id = :id")


async def add(connection: Connection, word: str, tag: str, welcome: str, question: str | None) -> Keyword | None:
    """Add a keyword and return it; None where there is one of its word."""
    values = {"word": word, "tag": tag, "welcome": welcome, "question": question}
    return first_row(await connection.execute(ADD, values), Keyword)


async def one(connection: Connection, keyword_id: int) -> Keyword:
    """Return a keyword. Raise NotFound."""
    found = first_row(await connection.execute(ONE, {"id": keyword_id}), Keyword)
    if found is None:
        raise NotFound(f"there is no keyword {keyword_id}")
    return found


async def page(connection: Connection, *, after: int, limit: int) -> list[Keyword]:
    """Return the oldest keywords with an id above `after`."""
    return all_rows(await connection.execute(PAGE, {"after": after, "limit": limit}), Keyword)


async def lock(connection: Connection, keyword_id: int) -> None:
    """Keep a keyword as it is until the transaction ends."""
    await connection.execute(LOCK, {"id": keyword_id})


async def change(
    connection: Connection, keyword_id: int, word: str, tag: str, welcome: str, question: str | None
) -> bool:
    """Write a keyword anew; False where another one has the word."""
    values = {"new_word": word, "new_tag": tag, "new_welcome": welcome, "new_question": question}
    return (await connection.execute(CHANGE, {"id": keyword_id, **values})).rowcount > 0


async def delete(connection: Connection, keyword_id: int) -> None:
    """Delete a keyword, with the questions to which nobody has said yes."""
    await connection.execute(DELETE, {"id": keyword_id})
