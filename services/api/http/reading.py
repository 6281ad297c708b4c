"""Reading a request's body: whatever is wrong with it is the caller's, and said so.

Litestar takes a connection that ends for a fault of the server's, and lets errors of decoding pass as they are.
"""

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Request
from litestar.datastructures import FormMultiDict
from litestar.exceptions import InternalServerException

from services.api.http.errors import BodyCutShort, MalformedBody


class Incoming(Request[Any, Any, Any]):
    """A request."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body part by part. Raise BodyCutShort if the connection ends before it does."""
        try:
            async for part in super().stream():
                yield part
        except InternalServerException:
            raise BodyCutShort from None

    async def form(self) -> FormMultiDict:
        """Return the form. Raise MalformedBody for a field that is not in the character set that it names."""
        try:
            return await super().form()
        except (UnicodeError, LookupError):
            raise MalformedBody("a field of the form is not UTF-8, or not in the character set that it names") from None


def path_as_sent(request: Request[Any, Any, Any]) -> str:
    """Return the path as the client wrote it: with its slash at the end, with its escapes."""
    raw = request.scope.get("raw_path") or b""
    return raw.partition(b"?")[0].decode("latin-1") or request.scope["path"]
