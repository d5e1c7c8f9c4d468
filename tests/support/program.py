"""The programs beside the server, run to their end, if need be on a described machine."""

import subprocess
import sys
from pathlib import Path

from tests.support.nvml import MACHINES, environment_for
from tests.support.server import clean_environment

BIN = Path(sys.executable).parent


def run(
    program: str, *words: str, machine: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of our console scripts; `machine` is a name in tests/support/nvml."""
    seen = environment_for(MACHINES[machine]) if machine else {}
    return subprocess.run(  # noqa: S603  # our own programs
        [str(BIN / program), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment(**seen, **environment),
    )
