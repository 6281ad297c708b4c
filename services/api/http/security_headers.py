"""Headers that keep a browser from doing with an answer what nobody meant.

The API serves data, no pages: whatever is in it, a message with HTML, say, is never to be shown or run as a page.
What a route says itself stays.
"""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

#: As OWASP's REST Security Cheat Sheet has them.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def add_security_headers(message: Message, _scope: Scope) -> None:
    """Add to an answer the headers that it does not have; to one without a route as well."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        # Older than the policy, it knows no list of who may: where somebody may, the policy says who.
        if "frame-ancestors 'none'" not in headers["Content-Security-Policy"]:
            del headers["X-Frame-Options"]
