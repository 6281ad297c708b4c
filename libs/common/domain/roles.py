"""What people and API keys may do: roles and scopes, and the permissions that each has.

Every route needs one permission (`services/api/http/permissions.py`).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Permission(StrEnum):
    """Leave to do one kind of thing."""

    READ = "read"  # see broadcasts, replies, people and figures
    WRITE = "write"  # change broadcasts that are not made, contacts and segments; decide about replies
    SEND = "send"  # make, pause, resume and cancel broadcasts
    APPROVE = "approve"  # approve a broadcast that somebody else wrote
    CONSENT = "consent"  # take the register of every opt-out and opt-in, for an auditor
    ADMIN = "admin"  # users, their sessions, and API keys


class Role(StrEnum):
    """What a user is."""

    VIEWER = "viewer"
    EDITOR = "editor"
    APPROVER = "approver"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API key is for. None approves: that is for a second person."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    CONSENT = "consent"
    ADMIN = "admin"


EVERYTHING = frozenset(Permission)

OF_ROLE: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.EDITOR: frozenset({Permission.READ, Permission.WRITE, Permission.SEND}),
    Role.APPROVER: frozenset({Permission.READ, Permission.WRITE, Permission.SEND, Permission.APPROVE}),
    Role.ADMIN: EVERYTHING,
}


def of_scopes(scopes: Iterable[Scope]) -> frozenset[Permission]:
    """Return the permissions of an API key. Each scope is the permission of its name, and reading goes with all."""
    return frozenset({Permission.READ, *(Permission(scope) for scope in scopes)})
