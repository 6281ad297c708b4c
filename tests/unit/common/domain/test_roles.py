from itertools import pairwise

from libs.common.domain import roles
from libs.common.domain.roles import OF_ROLE, Permission, Role, Scope


def test_each_role_may_do_what_the_one_before_may_and_more() -> None:
    grown = [OF_ROLE[role] for role in (Role.VIEWER, Role.EDITOR, Role.APPROVER, Role.ADMIN)]
    assert all(less < more for less, more in pairwise(grown))
    assert OF_ROLE[Role.VIEWER] == {Permission.READ}
    assert OF_ROLE[Role.ADMIN] == set(Permission)


def test_no_key_approves() -> None:
    assert Permission.APPROVE not in roles.of_scopes(Scope)


def test_a_key_may_what_its_scopes_say_and_read() -> None:
    assert roles.of_scopes([Scope.SEND]) == {Permission.READ, Permission.SEND}
