"""The words of a message as Missive has them: a `body`, which may be HTML, and a `preview`, which may be cut.

Missive's documentation has the body as HTML, and shows a preview that ends in the middle of a word after 64 characters
(https://missiveapp.com/docs/developers/webhooks). A webhook may bring either of the two, or both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

#: The shortest preview that may have been cut.
SHORTEST_CUT = 60  # characters
#: How much of a body is read as HTML; an SMS has at most 1,600 characters.
MOST_HTML = 8_000
#: The longest words that are kept.
MOST_WORDS = 20_000

_ELLIPSES = ("…", "...")
#: Tags that a mail program or Missive writes, and nobody types. What looks like another tag is what somebody wrote.
_HTML = re.compile(
    r"<(?:/?(?:div|p|br|span|html|body|b|i|u|a|em|strong|ul|ol|li|table|tr|td|font|blockquote|h[1-6]|img)\b|!doctype|!--)"
    r"|&(?:nbsp|amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-f]{1,6});",
    re.IGNORECASE,
)
#: What begins like a tag and does not end like one before the next begins: to the parser of the standard library that
#: is a tag that may still end, for which it looks again and again.
_NO_TAG = re.compile(r"<(?![/!]?[a-zA-Z][^<>]*>)")
_COMMENT = re.compile(r"<![^<>]*>")
_LINES = frozenset("div p br li tr h1 h2 h3 h4 h5 h6 blockquote ul ol table".split())  # noqa: SIM905
_HIDDEN = frozenset(("script", "style", "head", "title"))


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody wrote."""

    text: str
    #: Whether there may be more of it.
    is_cut: bool
    #: Whether it is a preview, whose lines have become one.
    is_preview: bool = False


def of_message(message: Mapping[str, Any], *, prefer_preview: bool = False) -> Words:
    """Return the words of a message: of the body, or where that has none of the preview.

    `prefer_preview` is for e-mails, whose bodies are pages.
    """
    body, preview = (_text(message.get(name)) for name in ("body", "preview"))
    whole = Words(plain(body), is_cut=False)
    may_be_cut = len(preview) >= SHORTEST_CUT or preview.rstrip().endswith(_ELLIPSES)
    part = Words(plain(preview), is_cut=may_be_cut, is_preview=True)
    if prefer_preview and part.text:
        return Words(part.text, is_cut=False)
    return whole if whole.text or not part.text else part


def plain(text: str) -> str:
    """Return a body without its HTML, if it is HTML: lines stay lines."""
    if _HTML.search(text, 0, MOST_HTML) is None:
        return text.strip()[:MOST_WORDS]
    reader = _Reader()
    reader.feed(_NO_TAG.sub("&lt;", _COMMENT.sub("", text[:MOST_HTML])))
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(lines).strip()[:MOST_WORDS]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class _Reader(HTMLParser):
    """Reads the words of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _LINES and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))
