"""Which processes are the engine's, and what they have computed."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from load.processes import Processes, cpu_s, cpu_since_s, memory_mib, titles
from tests.support.wait import wait_until

# A server with a process of its own, and an engine that has started something itself.
SERVER = """
sleep 60 &
bash -c 'exec -a VLLM::EngineCore bash -c "sleep 61 & wait"' &
wait
"""


@pytest.fixture
def server() -> Iterator[int]:
    with subprocess.Popen(  # noqa: S603  # fixed words
        ["bash", "-c", SERVER],  # noqa: S607
        start_new_session=True,
    ) as process:
        yield process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def test_what_is_below_an_engines_process_is_the_engines(server: int) -> None:
    wait_until(
        lambda: len(Processes.below(server).engine) == 2, within_s=10, what="the engine is seen"
    )
    found = Processes.below(server)
    assert titles(found.engine) == ["VLLM::EngineCore -c sleep 61 & wait", "sleep 61"]
    assert "sleep 60" in titles(found.front_end)
    assert "sleep 61" not in titles(found.front_end)


def test_a_process_that_is_gone_is_no_error(server: int) -> None:
    wait_until(
        lambda: "sleep 60" in titles(Processes.below(server).front_end), within_s=10, what="it runs"
    )
    found = Processes.below(server)
    os.killpg(server, 9)
    os.waitpid(server, 0)
    assert Processes.below(server) == Processes([], [])
    assert titles(found.front_end[:1]) == []
    assert cpu_s(found.front_end[:1]) == {}
    assert memory_mib(found.front_end[:1]) == {"rss": 0, "pss": 0}


def test_cpu_is_what_was_computed_in_between() -> None:
    mine = Processes.below(os.getpid()).front_end[:1]
    before, started_s = cpu_s(mine), time.process_time()
    while time.process_time() - started_s < 0.05:
        pass
    since_s = cpu_since_s(before, mine)
    assert since_s == pytest.approx(time.process_time() - started_s, abs=0.02)


def test_what_is_shared_is_counted_in_shares() -> None:
    program = "import os; os.fork(); os.read(0, 1)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:  # noqa: S603
        wait_until(
            lambda: len(Processes.below(process.pid).front_end) == 2, within_s=10, what="a fork"
        )
        memory = memory_mib(Processes.below(process.pid).front_end)
        assert 0 < memory["pss"] < memory["rss"]
        process.communicate()
