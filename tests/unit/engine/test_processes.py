"""Children: noticed when they end, and ended."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import psutil

from engine import processes
from tests.support.wait import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
FAILING = [sys.executable, "-c", "raise SystemExit(3)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
]

ROOT = Path(__file__).parents[3]
# Says which processes it has started, and ended.
END_ALL = f"""
import json, subprocess
from engine import processes
children = [subprocess.Popen(words) for words in {[SLEEP, STUBBORN]}]
processes.end_all(0.5)
assert processes.descendants() == []
print(json.dumps([child.pid for child in children]))
"""


def test_an_end_is_told_at_once_with_how_it_came() -> None:
    async def scenario() -> list[str]:
        told: list[str] = []
        child = subprocess.Popen(SLEEP)  # noqa: ASYNC220, S603  # ours, and quick
        sentinels = processes.Sentinels(
            {child.pid: "the child"}, told.append, lambda _: child.poll()
        )
        await asyncio.sleep(0.05)
        assert told == []
        child.kill()
        await asyncio.sleep(0.2)
        sentinels.close()
        return told

    (sentence,) = asyncio.run(scenario())
    assert sentence.startswith("the child (process ")
    assert "killed by SIGKILL" in sentence


def test_a_process_that_is_gone_already_is_told_too() -> None:
    async def scenario() -> list[str]:
        told: list[str] = []
        child = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220  # as above
        child.wait()
        processes.Sentinels({child.pid: "the child"}, told.append, lambda _: child.poll())
        await asyncio.sleep(0.01)
        return told

    assert len(asyncio.run(scenario())) == 1


def test_nothing_is_told_after_close() -> None:
    async def scenario() -> list[str]:
        told: list[str] = []
        child = subprocess.Popen(SLEEP)  # noqa: ASYNC220, S603  # as above
        sentinels = processes.Sentinels(
            {child.pid: "the child"}, told.append, lambda _: child.poll()
        )
        sentinels.close()
        child.kill()
        child.wait()
        await asyncio.sleep(0.05)
        return told

    assert asyncio.run(scenario()) == []


def test_how_a_child_ended_can_be_asked_again_and_again() -> None:
    killed, ended = (subprocess.Popen(words) for words in (SLEEP, FAILING))  # noqa: S603  # as above
    assert processes.exit_code(killed.pid) is None  # it runs
    killed.kill()
    wait_until(lambda: processes.exit_code(killed.pid) == -9, within_s=5, what="it is killed")
    wait_until(lambda: processes.exit_code(ended.pid) == 3, within_s=5, what="it has ended")
    assert (killed.wait(), ended.wait()) == (-9, 3)
    assert processes.exit_code(killed.pid) is None  # it has been waited for, and is nobody's now


def test_every_descendant_is_ended_also_those_that_refuse() -> None:
    # In a process of its own, since this one's descendants are the servers of other tests, too.
    done = subprocess.run(  # noqa: S603  # as above
        [sys.executable, "-c", END_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pids = json.loads(done.stdout)
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
