"""The garbage collector looks seldom once requests come, and not at what was there before."""

import subprocess
import sys

PROGRAM = """
import gc
from engine.garbage import expect, look_seldom

usual, *older = gc.get_threshold()
look_seldom()
seldom, *as_before = gc.get_threshold()
assert seldom > 10 * usual and as_before == older
assert gc.get_freeze_count() > 1000
expect(256)
assert gc.get_threshold() == (seldom + 256 * 500, *older)
expect(0)
assert gc.get_threshold() == (seldom, *older)
"""


def test_it_looks_seldom_and_only_at_what_is_new_and_no_request_has() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)  # noqa: S603
