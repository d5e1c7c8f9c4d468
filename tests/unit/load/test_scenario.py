"""Scenarios are data, and what is wrong in one is said before anything is asked."""

import re
from pathlib import Path
from typing import Any

import pytest

from load.scenario import ScenarioError, load, named, parse

ROOT = Path(__file__).parents[3]


def content(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "about": "A test.",
        "users": {"chat": 1},
        "stages": [{"users": 1, "for_s": 10}, {"users": 5, "for_s": 20, "users_per_s": 2}],
        "limits": {"max_failure_ratio": 0},
    }
    return plain | changes


@pytest.mark.parametrize(
    ("now_s", "users"), [(0.0, 1), (9.9, 1), (10.0, 5), (29.9, 5), (30.0, None)], ids=str
)
def test_one_stage_follows_the_other_and_the_last_one_ends(now_s: float, users: int | None) -> None:
    stage = parse(content()).stage_at(now_s)
    assert (stage.users if stage else None) == users


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"about": ""}, "about: String should have at least 1 character"),
        ({"limits": {}}, "limits: Dictionary should have at least 1 item"),
        ({"stages": []}, "stages: Tuple should have at least 1 item"),
        ({"users": {"chats": 1}}, "users.chats.[key]: Input should be 'chat', 'completions'"),
        ({"users": {"chat": 0}}, "users.chat: Input should be greater than 0"),
        ({"limits": {"max_ttft_ms": 1}}, "a limit is max_ or min_ and one of failure_ratio"),
        ({"limits": {"ttft_p95_ms": 1}}, "limits.ttft_p95_ms.[key]"),
        ({"stages": [{"users": 1, "for_s": 0}]}, "stages.0.for_s: Input should be greater than 0"),
        ({"stages": [{"users": 1}]}, "stages.0.for_s: Field required"),
        ({"stagess": []}, "stagess: Extra inputs are not permitted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(why)):
        parse(content(**changes))


@pytest.mark.parametrize("name", named())
def test_every_scenario_there_is_can_be_run_and_is_in_the_readme(name: str) -> None:
    scenario = load(name)
    assert "max_failure_ratio" in scenario.limits
    assert f"| `{name}` | {scenario.about} |" in (ROOT / "load" / "README.md").read_text()


def test_a_scenario_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ScenarioError, match="no scenario stedy; there are embeddings, smoke"):
        load("stedy")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("users = ")
    with pytest.raises(ScenarioError, match=r"mine\.toml"):
        load(str(file))
