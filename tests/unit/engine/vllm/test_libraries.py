"""What loading a library takes is given back, and the library works on."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
# RssFile has the resident pages of files, libraries being most of them.
SCRIPT = """
import json, re
from pathlib import Path
import numpy
from engine.vllm import libraries

def files_kb():
    return int(re.search("RssFile:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])

def works():
    return numpy.allclose(numpy.linalg.inv(numpy.eye(64) * 2), numpy.eye(64) / 2)

worked, before = works(), files_kb()
libraries.let_go()
print(json.dumps([worked, files_kb() / before, works()]))
"""


def test_libraries_are_let_go_of_and_work_on() -> None:
    # In a process of its own, which has loaded nothing else.
    result = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    worked, left, works = json.loads(result.stdout)
    assert worked
    assert works
    assert left < 0.5
