"""A walk over all pages of the desk, from link to link, as a user's browser gets them."""

import re

from tests.integration.api.desk.browser import Browser


async def pages(browser: Browser, begins: list[str]) -> dict[str, str]:
    """Return every page that links lead to, by its address. A link that leads nowhere fails.

    The form to sign in is for whoever is signed out: each page has a hidden link to it.
    """
    found: dict[str, str] = {}
    to_see = list(begins)
    while to_see:
        address = to_see.pop()
        if address in found:
            continue
        answer = await browser.get(address)
        assert answer.status_code == 200, f"{address} is answered with {answer.status_code}"
        found[address] = answer.text
        links = re.findall(r'href="(/desk(?!/sign-in")[^"#]*|\?[^"]*)', answer.text)
        base = address.partition("?")[0]
        to_see += [(base + link if link.startswith("?") else link).replace("&amp;", "&") for link in links]
    return found
