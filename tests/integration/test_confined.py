"""As careful operators run containers: any user, and nothing to write to but one directory."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.server import Server

pytestmark = pytest.mark.thorough

USER = 54_321
# A file system of its own is mounted there, for that server alone.
SCRATCH = Path("/mnt")
# The interpreter may be in somebody's home, into which nobody else may look.
_SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs "$SCRATCH"
mkdir "$SCRATCH/base"
mount --bind "$BASE" "$SCRATCH/base"
if [ "$(stat -c %a "$HOME_NOW")" = 700 ]; then mount -t tmpfs -o mode=755 tmpfs "$HOME_NOW"; fi
mkdir -p "$BASE"
mount --bind "$SCRATCH/base" "$BASE"
mount -o remount,ro,bind /
ulimit -c unlimited
cd /
exec setpriv --reuid "$USER_ID" --regid 0 --clear-groups --no-new-privs "$@"
"""


@pytest.fixture(scope="module")
def confined(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("only root can confine somebody else")
    environment = {
        "SCRATCH": str(SCRATCH),
        "BASE": sys.base_prefix,
        "HOME_NOW": str(Path.home()),
        "USER_ID": str(USER),
        "TMPDIR": str(SCRATCH),
        "HOME": "/nonexistent",
        "NIM_CACHE_PATH": str(SCRATCH / "cache"),
    }
    wrapper = ("unshare", "--mount", "sh", "-c", _SCRIPT, "sh")
    log = tmp_path_factory.mktemp("confined") / "log"
    with Server(str(demo), log=log, slow=slow, environment=environment, wrapper=wrapper) as running:
        running.wait_until_ready()
        yield running


def test_it_serves_there(confined: Server) -> None:
    ask = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    assert confined.post("/v1/chat/completions", ask).status_code == 200
    for process in (confined.process.pid, confined.engine_core().pid, confined.worker().pid):
        assert psutil.Process(process).uids().effective == USER


def test_nothing_is_dumped(confined: Server) -> None:
    for process in (confined.process.pid, confined.engine_core().pid, confined.worker().pid):
        limits = Path(f"/proc/{process}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]


def test_the_next_user_may_go_on_with_what_was_written(confined: Server) -> None:
    root = Path("/proc", str(confined.process.pid), "root")
    cache = root / SCRATCH.relative_to("/") / "cache"
    # Of single files vLLM may make anew what it cannot read.
    for path in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
        mode = path.stat().st_mode
        assert mode & stat.S_IWGRP, path
        assert path.stat().st_gid == 0
