"""Whether the schema in force serves this release."""

from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database.engine import Connection, Engine, transaction

#: The revision that this release needs; a newer one that still serves this one is fine, too. (Alembic would tell, at
#: half a second a process.)
SCHEMA = "0001"

#: The schema's revision, and the oldest one whose release it still serves; null where an old migration said nothing.
REVISION = text("""
SELECT version_num AS revision, obj_description(CAST('alembic_version' AS regclass), 'pg_class') AS serves
FROM alembic_version
""")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A schema's revision, and the oldest revision whose release it still serves."""

    revision: str
    serves: str | None


async def read_version(connection: Connection) -> SchemaVersion | None:
    """Return the version of the schema in force, None where no migration has run. Raise SchemaMissing."""
    row = (await connection.execute(REVISION)).one_or_none()
    return None if row is None else SchemaVersion(*row)


async def ready(engine: Engine) -> None:
    """Check that the database answers and its schema serves this release. Raise RuntimeError otherwise."""
    async with transaction(engine) as connection:
        version = await read_version(connection)
    if problem := schema_mismatch(version):
        raise RuntimeError(problem)


def schema_mismatch(version: SchemaVersion | None, ours: str = SCHEMA) -> str:
    """Return why a schema does not serve the release that needs revision `ours`; empty if it does."""
    if version is None or version.revision < ours:
        return "the schema is older than this release: run `broadsheet db upgrade`"
    if ours < (version.serves or ""):
        return f"the schema no longer serves this release, only {version.serves} and newer ones: deploy a newer release"
    return ""
