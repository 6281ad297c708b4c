"""The way to the database: the engine, rows, enums in SQL, errors, and which schema this release needs."""

from libs.common.database.direct import execute_alone, fetch_alone
from libs.common.database.engine import (
    LONG_WORK,
    Connection,
    Engine,
    Pooler,
    actor_of,
    cause_of,
    copy_in,
    create_engine,
    disposing,
    listen,
    on_commit,
    plan_anew,
    set_statement_timeout,
    signed,
    transaction,
)
from libs.common.database.enums import EnumText, literals
from libs.common.database.errors import (
    TRANSIENT,
    Collision,
    ConstraintViolated,
    DatabaseError,
    DatabaseUnavailable,
    NotUnique,
    SchemaMissing,
    StatementTimeout,
)
from libs.common.database.folding import folded
from libs.common.database.rows import all_rows, first_row, one_row
from libs.common.database.schema_version import SCHEMA, SchemaVersion, read_version, ready, schema_mismatch
from libs.common.database.typed_json import TypedJson

__all__ = [
    "LONG_WORK",
    "SCHEMA",
    "TRANSIENT",
    "Collision",
    "Connection",
    "ConstraintViolated",
    "DatabaseError",
    "DatabaseUnavailable",
    "Engine",
    "EnumText",
    "NotUnique",
    "Pooler",
    "SchemaMissing",
    "SchemaVersion",
    "StatementTimeout",
    "TypedJson",
    "actor_of",
    "all_rows",
    "cause_of",
    "copy_in",
    "create_engine",
    "disposing",
    "execute_alone",
    "fetch_alone",
    "first_row",
    "folded",
    "listen",
    "literals",
    "on_commit",
    "one_row",
    "plan_anew",
    "read_version",
    "ready",
    "schema_mismatch",
    "set_statement_timeout",
    "signed",
    "transaction",
]
