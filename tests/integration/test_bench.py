from tests.bench import newsroom
from tests.bench.newsroom import Newsroom
from tests.support import servers, witness


async def test_the_newsroom_in_which_pages_are_measured_is_filled_by_the_schema_of_today() -> None:
    room = Newsroom(people=2_000, past=20, recipients=500)
    with servers.database() as url:
        newsroom.fill(url, room)
        [counts] = await witness.query(
            url, "SELECT (SELECT count(*) FROM contacts) AS people, count(*) FROM broadcasts"
        )
    assert counts["people"] == room.people
    assert counts["count"] > room.past
