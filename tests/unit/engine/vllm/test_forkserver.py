"""The fork server's children go on without it, and are told of as before."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
# In the place of an engine core and its worker: one process starts the other, and both sleep.
FAMILY = """
import time

from engine.vllm.forkserver import CONTEXT

def core(connection):
    worker = CONTEXT.Process(target=time.sleep, args=(60,))
    worker.start()
    connection.send(worker.pid)
    worker.join()
    connection.send(worker.exitcode)
    time.sleep(60)
"""
SCRIPT = """
import json, os, signal, time
import family
from engine import processes
from engine.vllm import forkserver

processes.adopt_orphans()
ours, theirs = forkserver.CONTEXT.Pipe()
core = forkserver.CONTEXT.Process(target=family.core, args=(theirs,))
core.start()
worker = ours.recv()
known = {process.pid for process in processes.descendants()}
forkserver.end()
left = {process.pid for process in processes.descendants()}
time.sleep(0.2)  # for news that must not come
told = {"ended": len(known - left), "left": len(left), "alive": core.is_alive()}
os.kill(worker, signal.SIGKILL)
told["worker, for the core"] = ours.recv()
told["worker"] = processes.exit_code(worker)
os.kill(core.pid, signal.SIGKILL)
core.join(10)
told["core"] = core.exitcode
late = forkserver.CONTEXT.Process(target=os._exit, args=(3,))
late.start()
late.join(10)
told["late"] = late.exitcode
print(json.dumps(told))
"""


def test_the_fork_server_ends_and_its_children_are_told_of_all_the_same(tmp_path: Path) -> None:
    # In a process of its own, which has no other descendants. It is a file's, so that its
    # children can import what they run.
    (tmp_path / "family.py").write_text(FAMILY)
    script = tmp_path / "script.py"
    script.write_text(f"if __name__ == '__main__':\n{indented(SCRIPT)}")
    result = subprocess.run(  # noqa: S603  # ours
        [sys.executable, str(script)],
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "ended": 1,
        "left": 2,
        "alive": True,
        # Who is not the parent learns that it has ended, and not how.
        "worker, for the core": 255,
        "worker": -9,
        "core": -9,
        "late": 3,
    }


def indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))
