"""The limit of open files, in processes of its own since what is lowered stays low."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from app.file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[1:])))
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("before", "after"), [((256, 4096), "4096 4096"), ((512, 512), "512 512")])
def test_all_that_is_granted_is_taken(before: tuple[int, int], after: str) -> None:
    command = [sys.executable, "-c", SCRIPT, *map(str, before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert done.stdout.strip() == after
