import pytest

from tests.bench.comparison import Figures, keeps


def test_a_ratio_is_that_of_rounds_that_followed_each_other() -> None:
    figures = Figures()
    before, after = iter([{"x": 1.0}, {"x": 10.0}, {"x": 100.0}]), iter([{"x": 2.0}, {"x": 30.0}, {"x": 100.0}])
    figures.add(lambda: next(before), lambda: next(after), rounds=3)
    assert figures.ratio("x") == 2.0


def test_each_round_begins_with_the_other_one() -> None:
    done: list[str] = []

    def work(name: str) -> dict[str, float]:
        done.append(name)
        return {"x": 1.0}

    Figures().add(lambda: work("before"), lambda: work("after"), rounds=3)
    assert done == ["after", "before", "before", "after", "after", "before"]


@pytest.mark.parametrize(
    ("name", "ratio", "kept"),
    [
        ("messages a second", 0.95, True),
        ("messages a second", 0.94, False),
        ("sender, CPU ms a message", 1.15, True),
        ("sender, CPU ms a message", 1.16, False),
        ("/make, s", 1.1, True),
        ("/make, s", 1.11, False),
    ],
)
def test_a_rate_may_not_fall_and_a_cost_may_not_rise(name: str, ratio: float, *, kept: bool) -> None:
    assert keeps(name, ratio) is kept
