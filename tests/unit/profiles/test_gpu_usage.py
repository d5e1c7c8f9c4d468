"""What GPUs of described machines do, through the real binding and a stub of the driver."""

from dataclasses import asdict, replace

import pytest

from tests.support.nvml import MACHINES, Card, Machine, detected, usage_of
from tests.support.nvml.machines import (
    A100_80,
    BUSY_H100,
    FUNCTION_NOT_FOUND,
    GB10_1,
    GPU_IS_LOST,
    H100,
    H100_8,
    MIG_SLICES,
    NOT_SUPPORTED,
    UNKNOWN,
)

MIB = 1024**2
NO_PERMISSION = 4
FIGURES = {
    "utilization",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_watts",
    "power_limit_watts",
    "energy_joules",
    "temperature_celsius",
}
# By which functions of NVML each is had; the second for memory is that of older drivers.
MEMORY = ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")
ASKED: dict[tuple[str, ...], set[str]] = {
    ("nvmlDeviceGetUtilizationRates",): {"utilization"},
    MEMORY: {"memory_used_bytes", "memory_total_bytes"},
    ("nvmlDeviceGetPowerUsage",): {"power_watts"},
    ("nvmlDeviceGetEnforcedPowerLimit",): {"power_limit_watts"},
    ("nvmlDeviceGetTotalEnergyConsumption",): {"energy_joules"},
    ("nvmlDeviceGetTemperature",): {"temperature_celsius"},
}


def figures(machine: Machine, visible: str | None = None) -> list[dict[str, object]]:
    """Of each GPU what is known of it."""
    found = usage_of(machine, visible)
    assert found is not None
    return [{name: it for name, it in asdict(gpu).items() if it is not None} for gpu in found]


def one(card: Card) -> Machine:
    return Machine(name="one", cards=(card,))


def test_every_figure_is_there_in_its_unit() -> None:
    card = replace(BUSY_H100, power_mw=612_345, celsius=67)
    assert figures(one(card)) == [
        {
            "number": 0,
            "uuid": H100_8.uuid(0),
            "utilization": 0.97,
            "memory_used_bytes": 74624 * MIB,
            "memory_total_bytes": (81559 - 471) * MIB,
            "power_watts": 612.345,
            "power_limit_watts": 700.0,
            "energy_joules": 5_214_700.25,
            "temperature_celsius": 67,
        }
    ]


def test_zero_is_a_figure() -> None:
    card = replace(H100, used_mib=0, power_mw=0, energy_mj=0, celsius=0)
    (gpu,) = figures(one(card))
    assert gpu.keys() >= FIGURES
    assert gpu["memory_used_bytes"] == gpu["power_watts"] == gpu["utilization"] == 0


def test_the_memory_is_that_of_the_profiles() -> None:
    (gpu,) = usage_of(MACHINES["1xRTX4090"]) or ()
    (seen,) = detected(MACHINES["1xRTX4090"]).gpus
    assert gpu.memory_total_bytes == seen.memory_bytes
    assert gpu.memory_used_bytes == seen.memory_bytes - seen.free_bytes


@pytest.mark.parametrize("functions", ASKED, ids=lambda functions: functions[0])
@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, UNKNOWN])
def test_a_figure_that_is_not_told_leaves_the_others(functions: tuple[str, ...], code: int) -> None:
    silent = replace(H100, answers=tuple((function, code) for function in functions))
    gpu, neighbour = figures(Machine(name="two", cards=(silent, H100)))
    assert FIGURES - gpu.keys() == ASKED[functions]
    assert neighbour.keys() >= FIGURES


def test_a_driver_too_old_to_tell_its_reserve_tells_the_memory_with_it() -> None:
    old = ((MEMORY[0], FUNCTION_NOT_FOUND),)
    (gpu,) = figures(one(replace(H100, answers=old)))
    assert gpu["memory_total_bytes"] == 81559 * MIB


# ---- numbers ----


def test_numbers_are_the_drivers_and_the_order_is_that_of_cuda_visible_devices() -> None:
    gpus = usage_of(H100_8, "5,2") or ()
    assert [(gpu.number, gpu.uuid) for gpu in gpus] == [
        (5, H100_8.uuid(5)),
        (2, H100_8.uuid(2)),
    ]


def test_gpus_are_named_by_uuid_too() -> None:
    assert [gpu.number for gpu in usage_of(H100_8, H100_8.uuid(6)) or ()] == [6]


@pytest.mark.parametrize("visible", ["", "-1", "8"])
def test_hidden_gpus_are_not_asked(visible: str) -> None:
    assert usage_of(H100_8, visible) is None


# ---- MIG, and memory shared with the host ----


def test_of_a_mig_device_there_is_its_memory_and_its_gpus_number() -> None:
    swapped = replace(MIG_SLICES, cards=(A100_80, MIG_SLICES.cards[0]))
    assert figures(swapped, swapped.uuid(1, 1)) == [
        {
            "number": 1,
            "uuid": swapped.uuid(1, 1),
            "memory_used_bytes": 14366 * MIB,
            "memory_total_bytes": 19968 * MIB,
        }
    ]


def test_of_memory_that_is_shared_with_the_host_there_is_no_figure() -> None:
    (gpu,) = figures(GB10_1)
    assert gpu == {
        "number": 0,
        "uuid": GB10_1.uuid(0),
        "power_watts": 4.18,
        "temperature_celsius": 38,
    }


# ---- what goes wrong ----


def test_a_gpu_that_was_lost_before_is_left_out_and_the_others_keep_their_numbers() -> None:
    gpus = usage_of(MACHINES["8xH100-one-lost"]) or ()
    assert [gpu.number for gpu in gpus] == [0, 1, 2, 4, 5, 6, 7]


def test_a_gpu_that_is_lost_at_every_question_has_no_figure() -> None:
    asked = [function for functions in ASKED for function in functions]
    lost = replace(H100, answers=tuple((function, GPU_IS_LOST) for function in asked))
    (gpu,) = figures(one(lost))
    assert gpu == {"number": 0, "uuid": H100_8.uuid(0)}


@pytest.mark.parametrize(
    "name",
    [
        "no-driver",
        "driver-without-GPU",
        "driver-not-loaded",
        "driver-version-mismatch",
        "driver-unknown-error",
    ],
)
def test_where_no_driver_or_gpu_is_there_is_nothing_to_ask(name: str) -> None:
    assert usage_of(MACHINES[name]) is None


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_whatever_the_driver_answers_nothing_raises(function: str) -> None:
    assert usage_of(replace(H100_8, answers=((function, 4242),))) is None
