"""What the repository promises about itself."""

import re
import subprocess
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from app.exit_codes import ExitCode
from app.observability.nim_names import NAMES as NIM_NAMES
from app.routes import GUARDED, PUBLIC, SAGEMAKER
from app.settings import Settings, names_of
from engine import EngineState

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
ROUTES = sorted(
    {
        re.sub(r"\{[a-z_:]+\}", "{id}", route.path)
        for router in (*PUBLIC, *GUARDED, *SAGEMAKER)
        for route in router.routes
        if isinstance(route, APIRoute)
    }
)
LONGEST_FILE = 400


def tracked(pattern: str = "*") -> list[Path]:
    """Files under version control, or about to be."""
    listed = subprocess.run(  # noqa: S603  # git, and fixed words
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_in_the_readme_with_its_default(setting: str) -> None:
    for name in names_of(setting):
        assert f"`{name}`" in README
    description = Settings.model_fields[setting].description
    assert description is not None
    assert description in README


def test_every_variable_in_the_readme_is_a_setting() -> None:
    known = {name for setting in Settings.model_fields for name in names_of(setting)}
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert named
    assert named <= known


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_is_in_the_readme(path: str) -> None:
    assert f"`{path}`" in README


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_exit_code_is_in_the_readme(code: ExitCode) -> None:
    assert f"| {int(code)} | " in README


@pytest.mark.parametrize("state", EngineState, ids=lambda state: state.name)
def test_every_state_is_in_the_architecture_with_its_number(state: EngineState) -> None:
    assert f"| {int(state)} | {state.name} |" in ARCHITECTURE


def test_every_metric_is_in_the_readme() -> None:
    metrics = (ROOT / "app/observability/metrics.py").read_text()
    names = re.findall(r'"((?:unigate|gpu)_\w+)"', metrics)
    assert {name.partition("_")[0] for name in names} == {"unigate", "gpu"}
    section = README.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = re.findall(r"`((?:unigate|gpu)_\w+)`", section)
    assert sorted(names) == sorted(name for name in told if name not in NIM_NAMES.values())


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_nothing_names_the_machine_it_was_written_on() -> None:
    here = re.compile("|".join(re.escape(str(path)) + r"\b" for path in (ROOT, Path.home())))
    for path in tracked():
        if path.suffix not in {".safetensors", ".png"}:
            assert not here.search(path.read_text(errors="ignore")), path
