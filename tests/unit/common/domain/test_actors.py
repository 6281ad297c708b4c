import pytest

from libs.common.domain import actors
from libs.common.domain.actors import Actor, ActorKind


@pytest.mark.parametrize("kind", ActorKind)
def test_an_actor_that_was_written_is_read_as_it_was(kind: ActorKind) -> None:
    actor = Actor(kind, "7: and more")
    assert actors.parse(str(actor)) == actor


@pytest.mark.parametrize("written", ["", "user", "user:", "robot:7", ":7"])
def test_what_is_no_actor_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"actor|Kind"):
        actors.parse(written)


def test_a_user_is_named_by_id_and_nobody_else_has_one() -> None:
    assert str(actors.user(7)) == "user:7"
    assert actors.user(7).user_id == 7
    assert actors.key("7").user_id is None


def test_a_machine_user_without_a_name_is_unknown_and_a_long_one_is_cut() -> None:
    assert str(actors.console("")) == "console:unknown"
    assert len(actors.console("n" * 500).name) == actors.LONGEST
