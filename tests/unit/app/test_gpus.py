"""The GPUs' metrics, in processes that see described machines, and the watcher that sets them."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.observability.gpus import watch_gpus
from profiles.hardware.usage import GpuUsage
from tests.support.nvml import MACHINES, Machine, environment_for
from tests.support.nvml.machines import H100, H100_8, HANGS

LIMIT_S = 60

# Watches the machine's GPUs; `step` says what happens meanwhile, and prints.
_WATCH = """
import asyncio, ctypes, os, threading
from prometheus_client import REGISTRY, generate_latest
from app.observability.gpus import gpu_usages, watch_gpus
from app.observability.metrics import observe_gpus

seen = 0
def observe(usages):
    global seen
    observe_gpus(usages)
    seen += bool(usages)  # a slow machine may be told of none before

async def looks(count):
    until = seen + count
    while seen < until:
        await asyncio.sleep(0.01)

def show():
    text = generate_latest(REGISTRY).decode()
    print(*(line for line in text.splitlines() if "gpu_" in line), "--", sep="\\n")

async def watch(step):
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    watching = asyncio.ensure_future(watch_gpus(gpu_usages(visible), observe, 0.5))
    await step(watching)

{step}
asyncio.run(watch(step))
"""


def watched(machine: Machine, step: str, **environment: str) -> list[list[str]]:
    """The metrics of GPUs each time that `step` has shown them."""
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, "-c", _WATCH.replace("{step}", step)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **environment_for(machine), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return [shown.splitlines() for shown in done.stdout.split("--\n")[:-1]]


def samples(lines: list[str]) -> list[str]:
    return [line for line in lines if line and not line.startswith("#")]


LOOK = """
async def step(watching):
    await looks(1)
    show()
"""


def test_every_figure_is_a_metric_by_nims_name() -> None:
    machine = Machine(name="one", cards=(replace(H100, used_mib=74624, utilization=97),))
    (lines,) = watched(machine, LOOK)
    labels = f'{{gpu="0",uuid="{machine.uuid(0)}"}}'
    found = {name: float(value) for name, value in (line.split() for line in samples(lines))}
    assert found == {
        f"gpu_utilization{labels}": 0.97,
        f"gpu_memory_used_bytes{labels}": 74624 * 1024**2,
        f"gpu_memory_total_bytes{labels}": (81559 - 471) * 1024**2,
        f"gpu_power_usage_watts{labels}": 71.23,
        f"gpu_power_limit_watts{labels}": 700,
        f"gpu_total_energy_consumption_joules{labels}": 5_214_700.25,
        f"gpu_temperature_celsius{labels}": 31,
    }
    assert sum(line.startswith("# TYPE gpu_") for line in lines) == 7


def test_each_gpu_that_is_visible_has_its_samples() -> None:
    (lines,) = watched(H100_8, LOOK, CUDA_VISIBLE_DEVICES="5,2")
    for number in (5, 2):
        labels = f'{{gpu="{number}",uuid="{H100_8.uuid(number)}"}}'
        assert f"gpu_power_usage_watts{labels} 71.23" in lines
    assert len(samples(lines)) == 14


def test_a_gpu_that_is_lost_loses_its_samples_and_the_others_keep_theirs() -> None:
    before, after = watched(
        replace(H100_8, cards=(H100, H100)),
        """
async def step(watching):
    await looks(1)
    show()
    ctypes.CDLL("libnvidia-ml.so.1").stub_lose(0)
    await looks(2)
    show()
""",
    )
    assert samples(after) == [line for line in samples(before) if 'gpu="1"' in line]
    assert len(samples(before)) == 14
    assert len(samples(after)) == 7


@pytest.mark.parametrize("name", ["no-driver", "driver-without-GPU", "driver-not-loaded"])
def test_where_there_are_no_gpus_the_watcher_ends_without_a_sample(name: str) -> None:
    (lines,) = watched(
        MACHINES[name],
        """
async def step(watching):
    await watching
    show()
""",
    )
    assert not samples(lines)


def test_a_driver_that_hangs_takes_one_thread_and_does_not_keep_the_process() -> None:
    machine = Machine(
        name="hangs", cards=(replace(H100, answers=(("nvmlDeviceGetPowerUsage", HANGS),)),)
    )
    (lines,) = watched(
        machine,
        """
async def step(watching):
    await asyncio.sleep(3)  # six times as often as the driver is asked
    assert [it.name for it in threading.enumerate()].count("gpu-usage") == 1
    assert not watching.done()
    show()
""",
    )
    assert not samples(lines)


# ---- the watcher alone ----

GPU = GpuUsage(
    number=0,
    uuid="GPU-0",
    utilization=0.5,
    memory_used_bytes=None,
    memory_total_bytes=None,
    power_watts=None,
    power_limit_watts=None,
    energy_joules=None,
    temperature_celsius=None,
)


def test_figures_are_dropped_while_the_driver_hangs_and_come_back_with_its_answer() -> None:
    answers = threading.Event()
    seen: list[Sequence[GpuUsage]] = []

    def usages() -> Iterator[Sequence[GpuUsage]]:
        yield (GPU,)
        answers.wait(LIMIT_S)
        yield (GPU,)

    def observe(usages: Sequence[GpuUsage]) -> None:
        seen.append(usages)
        if not usages:
            answers.set()

    asyncio.run(asyncio.wait_for(watch_gpus(usages(), observe, 0.05), LIMIT_S))
    assert seen == [(GPU,), (), (GPU,)]


def test_nothing_is_asked_while_the_process_starts() -> None:
    async def scenario() -> None:
        usages: Iterator[Sequence[GpuUsage]] = iter([(GPU,)])
        watching = asyncio.ensure_future(watch_gpus(usages, lambda _: None))
        await asyncio.sleep(0.2)
        assert next(usages) == (GPU,)
        watching.cancel()

    asyncio.run(scenario())
