"""`broadsheet db`: the schema, brought to a revision."""

import typer

from libs.common.database import grants
from libs.common.database.migrate import migrate
from libs.console.inputs import Json
from libs.console.local_stack import database_url, migration_url, place
from libs.console.printing import Yes, agree, say

tables = typer.Typer(no_args_is_help=True, help="The schema.")


@tables.command()
def upgrade(revision: str = "head", as_json: Json = False) -> None:
    """Bring the schema to this release, or to a revision.

    Return the services' role its rights where it owns nothing.
    """
    services, owner = database_url(), migration_url()
    role = grants.role_of(services)
    is_another = role not in ("", grants.role_of(owner))
    if is_another:
        grants.prepare(owner, role)
    migrate(owner, revision)
    if is_another:
        grants.grant(owner, role)
    say(f"The schema is at {revision}.", {"revision": revision}, as_json=as_json)


@tables.command()
def downgrade(revision: str, yes: Yes = False, as_json: Json = False) -> None:
    """Take the schema back to a revision, or to `base`, which drops everything; after asking."""
    what = "Drop everything in" if revision == "base" else f"Take the schema back to {revision} in"
    agree(f"{what} {place(migration_url())}?", yes=yes)
    migrate(migration_url(), revision)
    say(f"The schema is at {revision}.", {"revision": revision}, as_json=as_json)
