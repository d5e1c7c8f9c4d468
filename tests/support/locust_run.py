"""One run of the load test, headless, as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCUST = str(Path(sys.executable).with_name("locust"))


@dataclass(frozen=True, slots=True)
class LocustRun:
    """What it left behind."""

    code: int
    log: str
    entries: dict[tuple[str, str], dict[str, Any]]
    """Its statistics by method and name."""


def run_locust(
    url: str,
    scenario: str,
    *words: str,
    slow: float = 1.0,
    environment: Mapping[str, str] | None = None,
) -> LocustRun:
    """Run a scenario, by name or file, to its end."""
    command = [LOCUST, "--locustfile", "load/locustfile.py", "--headless", "--json"]
    done = subprocess.run(  # noqa: S603  # ours
        [*command, "--host", url, "--scenario", scenario, *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60 * slow,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    found = json.loads(done.stdout) if done.stdout else []
    entries = {(entry["method"], entry["name"]): entry for entry in found}
    return LocustRun(done.returncode, done.stderr, entries)
