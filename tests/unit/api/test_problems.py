"""Every error of ours has its place in the one table."""

from libs.common import errors
from services.api import problems


def rejections(cls: type[Exception] = errors.Rejected) -> set[type[Exception]]:
    return {cls, *(each for below in cls.__subclasses__() for each in rejections(below))}


def test_every_rejection_is_a_problem_of_its_own_status() -> None:
    missing = rejections() - {errors.Rejected} - problems.PROBLEMS.keys()
    assert missing == set()


def test_the_types_of_problems_tell_them_apart() -> None:
    types = [problem.type for problem in {id(each): each for each in problems.PROBLEMS.values()}.values()]
    assert len(types) == len(set(types))
    assert all(type_.startswith("/problems/") for type_ in types)
