"""Every error of ours has its place in the one table."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from libs.common import errors
from services.api.http import fields, problems, problems_page

ROOT = Path(__file__).parents[4]


def rejections(cls: type[Exception] = errors.Rejected) -> set[type[Exception]]:
    return {cls, *(each for below in cls.__subclasses__() for each in rejections(below))}


def test_every_rejection_is_a_problem_of_its_own_status() -> None:
    missing = rejections() - {errors.Rejected} - problems.PROBLEMS.keys()
    assert missing == set()


def test_the_types_of_problems_tell_them_apart() -> None:
    types = [problem.type for problem in {id(each): each for each in problems.PROBLEMS.values()}.values()]
    assert len(types) == len(set(types))
    assert all(type_.startswith("urn:broadsheet:problem:") for type_ in types)


def test_the_page_of_problems_is_the_one_that_the_table_makes() -> None:
    page = ROOT / problems_page.PAGE
    assert page.read_text() == problems_page.render(), "run: python -m services.api.http.problems_page"
    headings = {line.removeprefix("## ") for line in page.read_text().splitlines() if line.startswith("## ")}
    assert headings == {problem.type.removeprefix(problems.URN) for problem in problems.PROBLEMS.values()}


@pytest.mark.parametrize("pattern", fields.WORDS)
def test_a_value_that_does_not_match_is_told_in_words_not_by_a_regular_expression(pattern: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert("\x00,", Annotated[str, msgspec.Meta(pattern=pattern)])
    assert fields.in_words(str(error.value)) == fields.WORDS[pattern]


def test_a_pattern_without_words_is_not_shown_either() -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert("x", Annotated[str, msgspec.Meta(pattern="^[a]+$")])
    assert "[a]" not in fields.in_words(str(error.value))
