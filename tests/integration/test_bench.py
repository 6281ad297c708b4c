from tests.bench import pages
from tests.bench.newsroom import Newsroom


def test_every_page_of_the_desk_is_there_in_the_newsroom_in_which_pages_are_measured() -> None:
    told: list[str] = []
    measured = pages.measure(Newsroom(people=2_000, past=200, recipients=500), told.append, times=1)
    assert {each.page.name for each in measured} >= {"Broadcasts, the oldest", "Broadcast of 50,000, under way"}
    assert "2,000 people" in told[0]
