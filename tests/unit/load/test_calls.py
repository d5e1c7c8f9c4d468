"""Calls are counted between two signals, and no others."""

import json
import os
import subprocess
import sys
from pathlib import Path

COUNTING = Path(__file__).parents[3] / "load" / "counting"
PROGRAM = """
import os, signal, time

def often():
    len("")

def switch():
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)

often()
switch()
for _ in range(7):
    often()
switch()
often()
"""


def test_what_is_called_between_two_signals_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "calls.json"
    environment = os.environ | {"PYTHONPATH": str(COUNTING), "LOAD_CALLS": str(file)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)  # noqa: S603
    calls = dict(json.loads(file.read_text()))
    assert calls["<string> often"] == calls["len in <string> often"] == 7


def test_without_a_file_nothing_is_different() -> None:
    environment = os.environ | {"PYTHONPATH": str(COUNTING)}
    environment.pop("LOAD_CALLS", None)
    program = "import signal; print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "True\n"
