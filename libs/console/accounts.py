"""`broadsheet users`, `keys` and `audit`: who may do what, and who did what."""

from typing import Annotated, Any

import typer

from libs.common.domain.roles import Role, Scope
from libs.console.client import connect
from libs.console.inputs import Json
from libs.console.printing import Yes, after, agree, console, one_line, say, show_all, write_json

users = typer.Typer(no_args_is_help=True, help="The people who may sign in to the desk.")
keys = typer.Typer(no_args_is_help=True, help="Keys by which programs call the API.")

USER_COLUMNS = ("id", "email", "name", "role", "password", "disabled_at")
KEY_COLUMNS = ("id", "name", "scopes", "created_at", "used_at", "revoked_at")
#: What is said where something was so already.
SAME = "Nothing was changed."
AUDIT_COLUMNS = ("occurred_at", "who", "subject", "type")

UserId = Annotated[int, typer.Argument(help="The user's id.")]
KeyId = Annotated[int, typer.Argument(help="The key's id.")]
AsRole = Annotated[Role, typer.Option("--role", help="What the user may do.")]


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """List the people who may sign in, and those who are disabled."""
    found = connect().call("GET", "/users")
    rows = found if as_json else [{**each, "password": "yes" if each["has_password"] else "no"} for each in found]
    show_all(rows, USER_COLUMNS, as_json=as_json)


@users.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="The user's e-mail address.")],
    name: Annotated[str, typer.Option(help="The user's name, as others see it.")],
    role: AsRole = Role.EDITOR,
    as_json: Json = False,
) -> None:
    """Add a user, and print the link by which the user chooses a password. Send it to that person alone."""
    _invited(connect().call("POST", "/users", json={"email": email, "name": name, "role": role}), as_json=as_json)


@users.command("link")
def link_user(user_id: UserId, as_json: Json = False) -> None:
    """Print another link, for a password that was forgotten, say. The one before is not valid any more."""
    _invited(connect().call("POST", f"/users/{user_id}/invitation"), as_json=as_json)


@users.command("change")
def change_user(
    user_id: UserId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    role: Annotated[Role | None, typer.Option("--role", help="What the user may do from now on.")] = None,
    as_json: Json = False,
) -> None:
    """Change a user's name or role."""
    changes = {field: value for field, value in (("name", name), ("role", role)) if value is not None}
    if not changes:
        raise typer.BadParameter("say what is to change: --name, --role")
    _change(user_id, changes, as_json=as_json)


@users.command("disable")
def disable_user(user_id: UserId, yes: Yes = False, as_json: Json = False) -> None:
    """Let a user sign in no more, and end the user's sessions; after asking. `enable` takes it back."""
    agree(f"Let user {user_id} sign in no more?", yes=yes)
    _change(user_id, {"disabled": True}, as_json=as_json)


@users.command("enable")
def enable_user(user_id: UserId, as_json: Json = False) -> None:
    """Let a user who was disabled sign in again."""
    _change(user_id, {"disabled": False}, as_json=as_json)


@users.command("sign-out")
def sign_out(user_id: UserId, as_json: Json = False) -> None:
    """End all sessions of a user."""
    api = connect()
    is_new = bool(api.call("GET", f"/users/{user_id}/sessions"))
    api.call("DELETE", f"/users/{user_id}/sessions")
    words = f"User {user_id} is signed out everywhere." if is_new else f"User {user_id} was signed in nowhere. {SAME}"
    with after(words):
        say(words, {"id": user_id, "signed_out": True, "changed": is_new}, as_json=as_json)


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys, with their last use. Those of the settings are not among them."""
    found = connect().call("GET", "/keys")
    rows = found if as_json else [{**each, "scopes": " ".join(each["scopes"])} for each in found]
    show_all(rows, KEY_COLUMNS, as_json=as_json)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for: history names it.")],
    scopes: Annotated[list[Scope], typer.Option("--scope", help="What it may do; again for more than one.")],
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown this once."""
    made = connect().call("POST", "/keys", json={"name": name, "scopes": scopes})
    with after(f"Key {made['key']['id']} was made, and could not be shown: take it back."):
        if as_json:
            write_json(made)
        else:
            console.print(made["secret"], soft_wrap=True)


@keys.command("revoke")
def revoke_key(key_id: KeyId, yes: Yes = False, as_json: Json = False) -> None:
    """Take a key back, for good; after asking."""
    agree(f"Take key {key_id} back? Whatever uses it stops working.", yes=yes)
    api = connect()
    is_new = not any(key["id"] == key_id and key["revoked_at"] for key in api.call("GET", "/keys"))
    api.call("DELETE", f"/keys/{key_id}")
    words = f"Key {key_id} opens nothing any more." if is_new else f"Key {key_id} was taken back before. {SAME}"
    with after(words):
        say(words, {"id": key_id, "revoked": True, "changed": is_new}, as_json=as_json)


def audit(
    actor: Annotated[str, typer.Option(help="What one person or program did: user:7, key:website, console:ana.")] = "",
    subject: Annotated[str, typer.Option(help="What was done to one thing: broadcast-12, contact-5, user-7.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Say who did what, the newest first."""
    query = {"limit": limit, **({"actor": actor} if actor else {}), **({"subject": subject} if subject else {})}
    found = connect().call("GET", "/audit", params=query)["items"]
    rows = found if as_json else [{**each, "who": each["actor_name"] or each["actor"]} for each in found]
    show_all(rows, AUDIT_COLUMNS, as_json=as_json)


def _invited(answer: dict[str, Any], *, as_json: bool) -> None:
    user = answer["user"]
    with after(f"User {user['id']} was invited, and the link could not be shown: broadsheet users link {user['id']}."):
        if as_json:
            write_json(answer)
            return
        console.print(one_line(f"{user['name']} ({user['email']}), {user['role']}, chooses a password at"))
        console.print(answer["link"], soft_wrap=True)
        console.print("The link works once, within three days.")


def _change(user_id: int, changes: dict[str, Any], *, as_json: bool) -> None:
    api = connect()
    before = next((user for user in api.call("GET", "/users") if user["id"] == user_id), None)
    user = api.call("PATCH", f"/users/{user_id}", json=changes)
    state = "may not sign in" if user["disabled_at"] else f"is {user['role']}"
    same = f" {SAME}" if user == before else ""
    with after(f"User {user_id} was changed."):
        say(f"User {user_id}, {user['name']}, {state}.{same}", user, as_json=as_json)
