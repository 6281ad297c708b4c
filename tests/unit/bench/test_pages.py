from tests.bench import pages
from tests.bench.newsroom import Newsroom


def test_every_page_of_the_desk_is_measured() -> None:
    pages.check_whole(pages.pages(Newsroom(people=10_000, past=100)))
