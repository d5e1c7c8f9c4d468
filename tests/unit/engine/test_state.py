"""The state machine, against the whole table written out by hand."""

from itertools import product

import pytest

from engine.state import TRANSITIONS, EngineState, IllegalTransitionError, StateMachine

ALLOWED = {
    "PENDING": "SELECTING STOPPED FAILED",
    "SELECTING": "DOWNLOADING STOPPED FAILED",
    "DOWNLOADING": "LOADING STOPPED FAILED",
    "LOADING": "WARMING STOPPED FAILED",
    "WARMING": "READY STOPPED FAILED",
    "READY": "STALLED DRAINING FAILED",
    "STALLED": "READY DRAINING FAILED",
    "DRAINING": "STOPPED FAILED",
    "STOPPED": "",
    "FAILED": "",
}
NUMBERS = {
    "PENDING": 0, "SELECTING": 1, "DOWNLOADING": 2, "LOADING": 3, "WARMING": 4, "READY": 5,
    "STALLED": 6, "DRAINING": 7, "STOPPED": 8, "FAILED": 9,
}  # fmt: skip
PAIRS = list(product(EngineState, repeat=2))


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=[f"{o.name}-{n.name}" for o, n in PAIRS])
def test_only_the_listed_moves_exist(old: EngineState, new: EngineState) -> None:
    assert (new in TRANSITIONS[old]) is (new.name in ALLOWED[old.name].split())


def test_the_numbers_never_change() -> None:
    assert {state.name: int(state) for state in EngineState} == NUMBERS


def test_a_move_is_told_with_its_reason() -> None:
    told: list[tuple[str, str, str]] = []
    states = StateMachine(lambda old, new, reason: told.append((old.name, new.name, reason)))
    states.to(EngineState.SELECTING, "why not")
    assert told == [("PENDING", "SELECTING", "why not")]
    assert states.reason == "why not"


def test_a_refused_move_leaves_the_state_alone() -> None:
    told: list[str] = []
    states = StateMachine(lambda old, new, reason: told.append(reason))
    with pytest.raises(IllegalTransitionError, match="PENDING to READY"):
        states.to(EngineState.READY, "impatience")
    assert states.state is EngineState.PENDING
    assert told == []


def test_seconds_count_from_the_last_move() -> None:
    now_s = 10.0
    states = StateMachine(lambda *_: None, clock=lambda: now_s)
    now_s = 12.5
    assert states.seconds == 2.5
    states.to(EngineState.SELECTING, "")
    assert states.seconds == 0
