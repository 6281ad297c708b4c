"""The pages for people, found from page to page by their links, as people find them."""

import re

from litestar import Litestar
from litestar.response import Template
from litestar.routes import HTTPRoute
from playwright.async_api import Page

SIGN_IN, INVITATION = "/desk/sign-in", "/desk/invitation/{token}"
#: What is no page: a file, what a page follows, and the way to a provider, of which the tests have none.
NO_PAGES = {
    "/desk/people/import/{import_id}/progress",
    "/desk/people/import/{import_id}/rejected.csv",
    "/desk/segments/{segment_id}/count",
    "/desk/broadcasts/{broadcast_id}/live",
    "/desk/compose/tests",
    "/desk/broadcasts/{broadcast_id}/report.csv",
    "/desk/broadcasts/{broadcast_id}/{message}/{key}/people.csv",
    "/desk/replies/export.csv",
    "/desk/settings/consent/export.csv",
    "/desk/settings/consent/export.jsonl",
    "/desk/replies/export-with-numbers.csv",
    "/desk/sign-in/provider",
    "/desk/sign-in/provider/callback",
}


#: That a page shows all that is on it, in the colours that are asked for: the API's is made by its script.
READY = """() => !document.getElementById("api") || document.querySelector("#api .opblock") !== null
    && document.querySelector(".dark-mode") !== null === matchMedia("(prefers-color-scheme: dark)").matches"""


class Walk:
    """A walk along the links of the pages, that sees each page once, behind whichever address it is."""

    def __init__(self, app: Litestar, begins: list[str]) -> None:
        """Begin at some addresses; the last one is seen first."""
        self.pages = templates(app)
        #: The pages that nobody has seen yet. Those for who is not signed in are none of the walk's.
        self.left = [page for page in self.pages if page not in {SIGN_IN, INVITATION}]
        self._to_see = begins

    def next(self) -> str | None:
        """Return the address of a page that nobody has seen; None when no link leads to one."""
        while self.left and self._to_see:
            address = self._to_see.pop()
            if any(fits(address, each) for each in NO_PAGES):
                continue
            template = next((page for page in self.pages if fits(address, page)), None)
            if template in self.left:
                self.left.remove(template)
                return address
        return None

    async def look_around(self, page: Page) -> None:
        """Remember where the links of a page lead."""
        links = await page.locator("a[href^='/']").evaluate_all("links => links.map(each => each.pathname)")
        # After those at which one began: of what they name, a page may be the only one that leads on.
        self._to_see = [*(each for each in links if isinstance(each, str)), *self._to_see]


def templates(app: Litestar) -> list[str]:
    """Return the templates of the paths at which there is a page; those with fewer parameters come first."""
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and "GET" in route.methods]
    found = {route.path_format for route in routes if route.path_format.startswith("/desk") or _is_page(route)}
    return sorted((path for path in found - NO_PAGES if "/assets/" not in path), key=lambda path: path.count("{"))


def _is_page(route: HTTPRoute) -> bool:
    """Whether it answers with a template, wherever it stands."""
    return any(handler.parsed_fn_signature.return_type.is_subclass_of(Template) for handler in route.route_handlers)


def fits(path: str, template: str) -> bool:
    """Whether an address is one of a template's."""
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) is not None
