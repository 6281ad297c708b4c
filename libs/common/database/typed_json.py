"""JSON in SQL: a column of jsonb that holds what a type describes."""

from typing import Any

import msgspec
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator


class TypedJson(TypeDecorator[Any]):
    """A column of jsonb whose values are read as what `kind` says: a struct, a dataclass, a list of them."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        """Return what the database has, as the type describes it. Raise msgspec.ValidationError if it is not that."""
        return None if value is None else msgspec.convert(value, self.kind)
