"""Types of single values, shared by bodies, queries and the import of contacts."""

from typing import Annotated, TypeAlias

from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

BIGGEST = 2**63 - 1  # PostgreSQL's bigint
PAGE = 50
LARGEST_PAGE = 200

#: Letters, digits and some punctuation inside; no comma or semicolon, which separate tags elsewhere.
TAG_PATTERN = r"^[^\W_](?:[\w .:/&'+-]{0,62}\w)?(?![\s\S])"
NO_NUL = r"^[^\x00]*(?![\s\S])"

#: An id. msgspec checks no upper bound beyond 64 bits, so `check_ids` does.
Id: TypeAlias = Annotated[int, Meta(gt=0, description="at most 9223372036854775807")]
Tag: TypeAlias = Annotated[str, Meta(max_length=64, pattern=TAG_PATTERN)]
Name: TypeAlias = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]

PathId: TypeAlias = Annotated[int, PathParameter(gt=0, le=BIGGEST)]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE)]
#: Where the last page ended, as `next_cursor` said.
Cursor: TypeAlias = Annotated[str | None, QueryParameter(max_length=60, pattern=r"^[0-9]{1,18}(\.[01])?(?![\s\S])")]
QueryTag: TypeAlias = Annotated[str | None, QueryParameter(max_length=64, pattern=TAG_PATTERN)]
QueryText: TypeAlias = Annotated[str | None, QueryParameter(max_length=60, pattern=NO_NUL)]
