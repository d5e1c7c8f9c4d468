"""A budget fills up again all the time, and no further than it is."""

from app.budget import Budget


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_minutes_worth_may_be_spent_at_once() -> None:
    budget = Budget(60, Clock())
    for _ in range(60):
        assert budget.wait_s() == 0
        budget.spend(1)
    assert budget.left == 0
    assert budget.wait_s() == 1


def test_it_fills_up_as_time_goes_by() -> None:
    clock = Clock()
    budget = Budget(60, clock)
    budget.spend(60)
    clock.now_s += 30
    assert budget.left == 30
    assert budget.full_in_s == 30
    clock.now_s += 3600
    assert budget.left == 60
    assert budget.full_in_s == 0


def test_what_was_overdrawn_has_to_come_back_first() -> None:
    clock = Clock()
    budget = Budget(60, clock)
    budget.spend(150)
    assert budget.left == 0
    assert budget.wait_s() == 91
    clock.now_s += 91
    assert budget.wait_s() == 0
