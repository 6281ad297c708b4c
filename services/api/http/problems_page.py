"""docs/problems.md, made from the table of problems: `python -m services.api.http.problems_page` writes it."""

from pathlib import Path

from services.api.http.problems import PROBLEMS, URN, Problem

PAGE = Path("docs/problems.md")

HEAD = f"""\
# Problems

Whatever goes wrong, the API answers as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) says: as
`application/problem+json` with `type`, `title`, `status`, mostly `detail` (words for a person) and, where fields are at
fault, `errors`, a list of `{{"field": …, "message": …}}`. Programs go by `type`: a URN, `{URN}` and
one of the names below. It stays; titles and details may be put better.

This page is made from `services/api/http/problems.py`: `python -m services.api.http.problems_page` writes it.

| status | type | title |
| --- | --- | --- |
"""


def known() -> list[Problem]:
    """Return every problem, once, by status and name."""
    return sorted({problem.name: problem for problem in PROBLEMS.values()}.values(), key=lambda p: (p.status, p.name))


def render() -> str:
    """Return the page."""
    rows = "".join(f"| {p.status} | [`{p.type}`](#{p.name}) | {p.title} |\n" for p in known())
    parts = "".join(f"\n## {p.name}\n\n{p.status}, *{p.title}*. {p.advice}\n" for p in known())
    return f"{HEAD}{rows}{parts}"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
