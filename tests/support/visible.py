"""What a person gets of a page: its texts, and the attributes that are read out or shown."""

from html.parser import HTMLParser

#: Attributes whose value somebody sees or hears; `data-label` stands before a table's cell on a phone.
SHOWN = ("title", "aria-label", "placeholder", "alt", "data-label")
#: Elements whose content is for the browser.
HIDDEN = ("script", "style")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in HIDDEN
        self.found += [value for name, value in attrs if name in SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in HIDDEN

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.found.append(data.strip())


def texts(page: str) -> list[str]:
    """Return what a person gets of a page, piece by piece."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found
