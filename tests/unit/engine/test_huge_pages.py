"""What Python has is moved into huge pages: all of it, later, too, and no holes are filled."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import huge_pages

# Each runs in a process of its own, whose memory is known.
BEGINNING = """
import json, mmap, re, sys, time
from pathlib import Path
from engine import huge_pages

def mib(figure):
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(f"^{figure}: +([0-9]+)", text, re.MULTILINE)[1]) / 1024

def some(count):
    return [str(number) for number in range(count)]
"""
MOVED = """
texts = some(1_000_000)
before = mib("AnonHugePages")
huge_pages.move_in()
print(json.dumps([before, mib("AnonHugePages") / mib("Anonymous"), texts == some(1_000_000)]))
"""
HOLES = """
holes = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE)
for place in range(0, 256 << 20, 16 << 12):  # one page of sixteen
    holes[place] = 1
before = mib("Anonymous")
huge_pages.move_in()
print(json.dumps([before, mib("Anonymous")]))
"""
GROWN = """
huge_pages.use(every_s=0.05)
time.sleep(1)
before = mib("AnonHugePages")
texts = some(1_000_000)
deadline = time.monotonic() + float(sys.argv[1])
while mib("AnonHugePages") < before + 32 and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps([before, mib("AnonHugePages")]))
"""
FORBIDDEN = """
switch = Path(sys.argv[1])
switch.write_text("always madvise [never]")
huge_pages.use(every_s=0.05, switch=switch)
texts = some(1_000_000)
time.sleep(1)
print(json.dumps(mib("AnonHugePages")))
"""


def run(program: str, *words: str) -> Any:
    result = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-c", BEGINNING + program, *words],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    huge_pages.require()


def test_what_there_is_is_moved_and_stays_as_it_was() -> None:
    before, share, is_as_it_was = run(MOVED)
    assert before < 4
    assert share > 0.5
    assert is_as_it_was


def test_holes_are_not_filled() -> None:
    before, after = run(HOLES)
    assert after < before + 16


def test_what_comes_later_is_moved_too(slow: float) -> None:
    before, after = run(GROWN, str(30 * slow))
    assert after >= before + 32


def test_nothing_is_moved_where_the_kernel_is_set_to_make_none(tmp_path: Path) -> None:
    assert run(FORBIDDEN, str(tmp_path / "enabled")) < 4
