"""The desk's bundled script and style: named by their content, so that a browser may keep them for ever.

`make set-up` and the image's build make them from `assets/`; nothing of Node is needed at run time.
"""

import json
from functools import cache
from pathlib import Path

from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File

from services.api.http.auth import PUBLIC

FOLDER = Path(__file__).parent / "static"
URL = "/desk/assets"
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class AssetsMissing(RuntimeError):
    """The desk's script and style were not built: run `make set-up`."""


@cache
def manifest() -> dict[str, str]:
    """Return source to built file. Raise AssetsMissing."""
    try:
        found: dict[str, str] = json.loads((FOLDER / "manifest.json").read_text())
    except FileNotFoundError:
        raise AssetsMissing(AssetsMissing.__doc__) from None
    return found


def address(source: str) -> str:
    """Return the path at which a built file is served."""
    return f"{URL}/{manifest()[source]}"


@get("/{name:str}", opt=PUBLIC)
async def asset(name: FromPath[str]) -> File:
    """Return a built file."""
    if name not in manifest().values():
        raise NotFoundException
    return File(
        FOLDER / name,
        media_type=KINDS[Path(name).suffix],
        content_disposition_type="inline",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


ROUTER = Router(URL, route_handlers=[asset])
