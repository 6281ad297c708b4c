"""The desk's sidebar in a frame of another site's: Missive's, say.

A frame's cookies need `SameSite=None`, so that a browser may send them with what other sites ask for. Therefore they
are set in frames alone, `Partitioned`, which ties them to the site around the frame. A session that was begun in a
frame opens the sidebar alone. What another site asks for is refused by what the browser says of it, beside the form's
token (`forgery.py`).
"""

from litestar.datastructures import Cookie, Headers

from libs.common.settings.api import ApiSettings

SIDEBAR = "/desk/sidebar"
SIGN_IN, SIGN_OUT = "/desk/sign-in", "/desk/sign-out"
#: What may be shown in a frame: the sidebar, and the form by which somebody signs in there.
_IN_FRAMES = (SIDEBAR, SIGN_IN)
#: What a session says that was begun in a frame.
FRAMED = "framed"


def may_be_framed(path: str) -> bool:
    """Whether a page of this path may be shown in a frame, by whoever the settings name."""
    return any(path == each or path.startswith(f"{each}/") for each in _IN_FRAMES)


def opens(path: str) -> bool:
    """Whether a session that was begun in a frame opens a path."""
    return may_be_framed(path) or path == SIGN_OUT


def is_framed(headers: Headers, settings: ApiSettings) -> bool:
    """Whether a browser asks for what it shows in a frame, where the settings let somebody do so.

    (https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header)
    """
    return bool(settings.frame_ancestors) and headers.get("sec-fetch-dest") == "iframe"


def is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site asks for it; an older browser says nothing."""
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def header(cookie: Cookie) -> str:
    """Return a cookie of a frame as `Set-Cookie` has it.

    (https://developer.mozilla.org/en-US/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies)
    """
    cookie.secure, cookie.samesite = True, "none"
    return f"{cookie.to_header(header='')}; Partitioned"
