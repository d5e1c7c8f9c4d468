"""What is found on described machines, through the real binding and a stub of the driver."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from profiles.hardware import Capability, Hardware, has_native_precision, supports_precision
from tests.support.nvml import MACHINES, Card, Machine, Process, detected, environment_for
from tests.support.nvml.machines import (
    BUSY_H100,
    FUNCTION_NOT_FOUND,
    GB10,
    GB10_1,
    GPU_IS_LOST,
    H100,
    H100_8,
    LOST_H100,
    MIG_SLICE,
    MIG_SLICES,
    NO_DRIVER,
    NOT_SUPPORTED,
    RTX_4090,
    UNKNOWN,
)

GIB = 1024**3
NO_PERMISSION = 4
RESET_REQUIRED = 16

# By hand: GPUs, family, compute capability, CUDA's total in GiB as vLLM and torch print it.
SEEN = {
    "1xH100": (1, "h100", (9, 0), 79.19),
    "8xH100": (8, "h100", (9, 0), 79.19),
    "2xA100-40": (2, "a100", (8, 0), 39.39),
    "4xL40S": (4, "l40s", (8, 9), 44.41),
    "1xL4": (1, "l4", (8, 9), 22.04),
    "1xT4": (1, "t4", (7, 5), 14.56),
    "1xRTX4090": (1, "rtx4090", (8, 9), 23.52),
    "1xH200": (1, "h200", (9, 0), 139.81),
    "8xH200": (8, "h200", (9, 0), 139.81),
    "1xB200": (1, "b200", (10, 0), 178.35),
    "1xGB10": (1, "gb10", (12, 1), 119.68),
    "MIG-1g.10gb": (1, "a100", (8, 0), 9.50),
}


def one(card: Card) -> Machine:
    return Machine(name="one", cards=(card,))


@pytest.mark.parametrize("name", SEEN)
def test_a_machine_is_seen_as_cuda_shows_it(name: str) -> None:
    found = detected(MACHINES[name])
    count, family, capability, total_gib = SEEN[name]
    assert found.problem is None
    assert found.driver == "580.95.05"
    assert [gpu.index for gpu in found.gpus] == list(range(count))
    assert len({gpu.uuid for gpu in found.gpus}) == count
    assert found.free_gpus == found.gpus
    for gpu in found.gpus:
        assert gpu.family == family
        assert gpu.compute_capability == capability
        assert gpu.memory_bytes / GIB == pytest.approx(total_gib, abs=0.006)
        assert 0 < gpu.free_bytes <= gpu.memory_bytes
        assert gpu.is_unified is (name == "1xGB10")


def test_names_and_ids_are_those_nim_prints() -> None:
    (gpu,) = detected(MACHINES["1xH100"]).gpus
    assert (gpu.name, gpu.pci_id) == ("NVIDIA H100 80GB HBM3", "2330:10de")
    assert gpu.mig is None


# ---- free and in use ----


def test_a_busy_gpu_is_not_free_and_its_neighbours_are() -> None:
    found = detected(MACHINES["8xH100-one-busy"])
    assert [gpu.index for gpu in found.gpus if not gpu.is_free] == [3]
    assert len(found.free_gpus) == 7
    assert (found.gpus[3].used_percent, found.gpus[3].utilization_percent) == (92, 97)


@pytest.mark.parametrize(
    ("card", "is_free"),
    [
        pytest.param(replace(H100, used_mib=600), True, id="a monitoring agent"),
        pytest.param(replace(H100, used_mib=6000), True, id="less than vLLM leaves anyway"),
        pytest.param(replace(H100, used_mib=7000), False, id="more than vLLM leaves"),
        pytest.param(replace(BUSY_H100, utilization=0), False, id="an idle vLLM, hidden"),
        pytest.param(replace(H100, utilization=100), True, id="idle without persistence mode"),
        pytest.param(replace(H100, used_mib=700, utilization=90), False, id="computes in little"),
        pytest.param(replace(H100, used_mib=700, utilization=49), True, id="computes a little"),
        pytest.param(replace(H100, used_mib=700, utilization=None), True, id="nobody knows"),
        pytest.param(replace(RTX_4090, used_mib=2000), True, id="a desktop with its browser"),
        pytest.param(replace(RTX_4090, utilization=80), False, id="a game"),
        pytest.param(replace(RTX_4090, used_mib=12000), False, id="another engine on a desktop"),
    ],
)
def test_a_gpu_is_free_unless_something_uses_it_in_earnest(card: Card, is_free: bool) -> None:
    (gpu,) = detected(one(card)).gpus
    assert gpu.is_free is is_free


# ---- memory shared with the host ----


def test_unified_memory_is_the_hosts() -> None:
    (gpu,) = detected(GB10_1).gpus
    assert gpu.is_unified
    assert gpu.memory_bytes == 122548 * 1024**2
    assert gpu.free_bytes == 116000 * 1024**2
    assert gpu.utilization_percent is None


def test_unified_memory_stays_the_hosts_when_a_driver_gives_numbers() -> None:
    machine = replace(GB10_1, cards=(replace(GB10, total_mib=8192),))
    (gpu,) = detected(machine).gpus
    assert gpu.is_unified
    assert gpu.memory_bytes == 122548 * 1024**2


def test_an_unknown_gpu_without_memory_of_its_own_is_unified() -> None:
    machine = replace(GB10_1, cards=(replace(GB10, name="NVIDIA N1X", pci_id="2e2a:10de"),))
    (gpu,) = detected(machine).gpus
    assert gpu.is_unified
    assert gpu.family == ""


def test_programs_of_the_host_do_not_make_unified_memory_busy() -> None:
    (gpu,) = detected(replace(GB10_1, host_available_mib=60_000)).gpus
    assert gpu.is_free
    assert gpu.used_percent > 50


def test_another_engine_in_unified_memory_does() -> None:
    engine = Process(pid=4711, used_mib=63931)
    (gpu,) = detected(replace(GB10_1, cards=(replace(GB10, processes=(engine,)),))).gpus
    assert not gpu.is_free


def test_processes_that_a_driver_does_not_list_do_no_harm() -> None:
    refuses = (("nvmlDeviceGetComputeRunningProcesses_v3", NO_PERMISSION),)
    (gpu,) = detected(replace(GB10_1, cards=(replace(GB10, answers=refuses),))).gpus
    assert gpu.is_free


# ---- MIG ----


def test_a_mig_device_stands_in_place_of_its_gpu() -> None:
    (gpu,) = detected(MIG_SLICE).gpus
    assert gpu.mig == "1g.10gb"
    assert gpu.name == "NVIDIA A100-SXM4-80GB MIG 1g.10gb"
    assert gpu.uuid == MIG_SLICE.uuid(0, 0)
    assert gpu.pci_id == "20b2:10de"
    assert gpu.utilization_percent is None
    assert gpu.is_free


def test_of_several_mig_devices_cuda_shows_the_first_and_the_rest_is_accounted_for() -> None:
    found = detected(MIG_SLICES)
    assert [gpu.mig for gpu in found.gpus] == ["3g.40gb"]
    assert "1 of 3 devices" in (found.problem or "")


def test_a_mig_device_is_named_by_its_uuid() -> None:
    found = detected(MIG_SLICES, MIG_SLICES.uuid(0, 1))
    (gpu,) = found.gpus
    assert (gpu.mig, gpu.index, gpu.is_free) == ("2g.20gb", 0, False)
    assert found.problem is None


def test_mig_mode_that_is_off_changes_nothing() -> None:
    assert H100.has_mig
    assert detected(one(H100)).gpus[0].mig is None


# ---- CUDA_VISIBLE_DEVICES ----


def test_visible_devices_are_numbered_anew_in_their_order() -> None:
    gpus = detected(H100_8, "5,2").gpus
    assert [gpu.index for gpu in gpus] == [0, 1]
    assert [gpu.uuid for gpu in gpus] == [H100_8.uuid(5), H100_8.uuid(2)]


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_gpus_are_no_problem(visible: str) -> None:
    assert detected(H100_8, visible) == Hardware(driver="580.95.05")


def test_an_entry_that_names_nothing_is_a_problem() -> None:
    found = detected(H100_8, "0,1,8,2")
    assert len(found.gpus) == 2
    assert "'8' names no GPU" in (found.problem or "")


# ---- what goes wrong ----


def test_a_machine_without_a_driver_is_a_machine_like_any_other() -> None:
    assert detected(NO_DRIVER) == Hardware()


def test_gpus_without_the_library_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    found = detected(NO_DRIVER, dev=tmp_path)
    assert found.gpus == ()
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in (found.problem or "")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("driver-not-loaded", "modprobe nvidia"),
        ("driver-version-mismatch", "reboot the host"),
        ("driver-unknown-error", "restart the container"),
        ("driver-without-GPU", "--gpus all"),
    ],
)
def test_a_driver_that_fails_is_a_sentence_with_what_to_do(name: str, remedy: str) -> None:
    found = detected(MACHINES[name])
    assert found.gpus == ()
    assert remedy in (found.problem or "")
    assert (found.problem or "").endswith(".")


@pytest.mark.parametrize(
    ("function", "code", "said"),
    [
        ("nvmlInitWithFlags", NO_PERMISSION, "/dev/nvidia*"),
        ("nvmlInitWithFlags", GPU_IS_LOST, "(GPU is lost)"),
        ("nvmlInitWithFlags", 4242, "an error of the stub"),
        ("nvmlSystemGetDriverVersion", UNKNOWN, "restart the container"),
        ("nvmlDeviceGetCount_v2", UNKNOWN, "restart the container"),
    ],
)
def test_whatever_the_driver_answers_is_a_value(function: str, code: int, said: str) -> None:
    found = detected(replace(H100_8, answers=((function, code),)))
    assert found.gpus == ()
    assert said in (found.problem or "")


def test_a_lost_gpu_is_named_and_the_others_work() -> None:
    found = detected(MACHINES["8xH100-one-lost"])
    assert len(found.gpus) == 7
    assert [gpu.index for gpu in found.gpus] == list(range(7))
    assert "GPU 3 is not used: it has fallen off the bus" in (found.problem or "")


def test_a_lost_gpu_that_nobody_asked_for_is_not_mentioned() -> None:
    found = detected(MACHINES["8xH100-one-lost"], "4,5")
    assert [gpu.uuid for gpu in found.gpus] == [H100_8.uuid(4), H100_8.uuid(5)]
    assert found.problem is None


def test_a_machine_whose_only_gpu_is_lost_has_none() -> None:
    found = detected(one(LOST_H100))
    assert found.gpus == ()
    assert "GPU 0 is not used" in (found.problem or "")


@pytest.mark.parametrize(
    ("function", "code", "said"),
    [
        ("nvmlDeviceGetHandleByIndex_v2", NO_PERMISSION, "may not use it"),
        ("nvmlDeviceGetUUID", GPU_IS_LOST, "fallen off the bus"),
        ("nvmlDeviceGetMigMode", UNKNOWN, "Unknown Error"),
        ("nvmlDeviceGetName", RESET_REQUIRED, "nvidia-smi --gpu-reset"),
        ("nvmlDeviceGetMemoryInfo_v2", GPU_IS_LOST, "fallen off the bus"),
        ("nvmlDeviceGetCudaComputeCapability", UNKNOWN, "Unknown Error"),
    ],
)
def test_a_gpu_that_fails_at_any_question_is_left_out(function: str, code: int, said: str) -> None:
    found = detected(Machine(name="two", cards=(H100, replace(H100, answers=((function, code),)))))
    assert [gpu.uuid for gpu in found.gpus] == [H100_8.uuid(0)]
    assert (found.problem or "").startswith("GPU 1 is not used: ")
    assert said in (found.problem or "")


def test_facts_that_are_only_shown_may_be_missing() -> None:
    silent = (
        ("nvmlDeviceGetUtilizationRates", NOT_SUPPORTED),
        ("nvmlDeviceGetPciInfo_v3", UNKNOWN),
        ("nvmlDeviceGetMigMode", FUNCTION_NOT_FOUND),
    )
    (gpu,) = detected(one(replace(H100, answers=silent))).gpus
    assert (gpu.utilization_percent, gpu.pci_id, gpu.mig) == (None, "", None)
    assert gpu.family == "h100"


def test_a_driver_too_old_to_tell_its_reserve_gives_the_whole_memory() -> None:
    old = (("nvmlDeviceGetMemoryInfo_v2", FUNCTION_NOT_FOUND),)
    (gpu,) = detected(one(replace(H100, answers=old))).gpus
    assert gpu.memory_bytes == 81559 * 1024**2
    assert gpu.is_free


def test_a_host_that_hides_its_memory_leaves_a_unified_gpu_out() -> None:
    found = detected(replace(GB10_1, host_mib=None))
    assert found.gpus == ()
    assert "shares the host's memory" in (found.problem or "")


_TWICE = """
import pynvml
from profiles.hardware.nvml import detect
assert detect() == detect()
try:
    pynvml.nvmlDeviceGetCount()
except pynvml.NVMLError_Uninitialized:
    print("closed")
"""


@pytest.mark.parametrize("name", ["8xH100", "8xH100-one-lost"])
def test_the_session_with_the_driver_is_closed(name: str) -> None:
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, "-c", _TWICE],
        env=environment_for(MACHINES[name]),
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == b"closed\n", done.stderr.decode()


# ---- precisions ----

V100, T4, A100, ADA, HOPPER, BLACKWELL, SPARK = (
    (7, 0), (7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 1),
)  # fmt: skip
# By hand: what the engine runs at all, and what the GPU computes in.
RUNS = {
    "fp32": {T4, A100, ADA, HOPPER, BLACKWELL, SPARK},
    "fp16": {T4, A100, ADA, HOPPER, BLACKWELL, SPARK},
    "bf16": {A100, ADA, HOPPER, BLACKWELL, SPARK},
    "fp8": {T4, A100, ADA, HOPPER, BLACKWELL, SPARK},
    "mxfp8": {A100, ADA, HOPPER, BLACKWELL, SPARK},
    "int8": {T4, A100, ADA, HOPPER},
    "int4": {T4, A100, ADA, HOPPER, BLACKWELL, SPARK},
    "nvfp4": {T4, A100, ADA, HOPPER, BLACKWELL, SPARK},
    "mxfp4": {A100, ADA, HOPPER, BLACKWELL, SPARK},
}
NATIVE = {
    "fp8": {ADA, HOPPER, BLACKWELL, SPARK},
    "mxfp8": {BLACKWELL, SPARK},
    "nvfp4": {BLACKWELL, SPARK},
    "mxfp4": {BLACKWELL, SPARK},
    "int4": set(),
}
CAPABILITIES = [V100, T4, A100, ADA, HOPPER, BLACKWELL, SPARK]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
@pytest.mark.parametrize("precision", RUNS)
def test_a_precision_runs_where_the_engine_has_a_kernel(
    precision: str, capability: Capability
) -> None:
    assert supports_precision(capability, precision) is (capability in RUNS[precision])
    native = NATIVE.get(precision, RUNS[precision])
    assert has_native_precision(capability, precision) is (capability in native)


def test_an_unknown_precision_is_the_engines_to_judge() -> None:
    assert supports_precision(T4, "fp6")
    assert not supports_precision(V100, "fp6")
    assert not has_native_precision(BLACKWELL, "fp6")
