"""Asks NVIDIA's driver for the machine's GPUs; the only file that imports `pynvml`.

Whatever the driver answers, or fails to, becomes a value: nothing here raises. It blocks for as
long as the driver takes, which is seconds where no persistence daemon runs: call it in a thread.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.hardware import Gpu, Hardware
from profiles.hardware.driver_problem import (
    driver_problem,
    gpu_problem,
    no_gpu_problem,
    no_library_problem,
)
from profiles.hardware.family import gpu_family
from profiles.hardware.usage import GpuUsage
from profiles.hardware.visible_devices import Device, Place, visible_devices

_MEMINFO = Path("/proc/meminfo")
_MIB = 1024**2
_GIB = 1024**3

# A GPU is free when nothing else uses it in earnest. NIM calls it non-free from 5 % of its memory
# on, and so refuses the card that also draws a desktop (RTX 4090 at 7 %, GTX 1660 Ti at 7 % in
# public reports). Here a desktop with its browser fits into `_DESKTOP_BYTES`; on large cards the
# bound is what vLLM leaves to others anyway (its default share is 0.92), beyond which a second
# engine would not start. Judged is memory, whoever holds it, and not the list of processes: in a
# container that list is empty, and the other vLLM still there.
_DESKTOP_BYTES = 2 * _GIB
_OTHERS_SHARE = 0.08
# A GPU that computes is in use however little memory that takes. Alone this is no evidence: without
# persistence mode the very act of asking shows up as high utilization on an idle card. Whatever
# computes has a CUDA context, which is larger than this.
_BUSY_PERCENT = 50
_CONTEXT_BYTES = 256 * _MIB

# These have no memory of their own even if a driver should begin to give numbers for it.
_UNIFIED = frozenset({"gb10", "orin", "thor"})


@dataclass(frozen=True, slots=True)
class _Memory:
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A GPU of NVML's list: its handle and those of its MIG devices, or why it cannot be used."""

    device: Device
    handle: Any = None
    slices: tuple[Any, ...] = ()
    problem: str | None = None

    def at(self, mig: int | None) -> tuple[str, Any]:
        """UUID and handle of the GPU (None), or of one of its MIG devices."""
        if mig is None:
            return self.device.uuid, self.handle
        return (self.device.slices or ())[mig], self.slices[mig]


def detect(
    *,
    visible: str | None = None,
    meminfo: Path = _MEMINFO,
    dev: Path = Path("/dev"),
) -> Hardware:
    """The GPUs that CUDA shows to a process with this CUDA_VISIBLE_DEVICES (None: not set).

    `meminfo` is where GPUs that share the host's memory find it.
    """
    # 40 ms, which commands that need no GPU should not pay.
    import pynvml  # type: ignore[import-untyped]  # noqa: PLC0415  # one module, no py.typed

    try:
        with _session(pynvml):
            return _Driver(pynvml, meminfo).hardware(visible)
    except pynvml.NVMLError_LibraryNotFound:
        return Hardware(problem=no_library_problem(dev))
    except pynvml.NVMLError as error:
        return Hardware(problem=driver_problem(error.value, str(error)))


def usages(visible: str | None) -> Iterator[tuple[GpuUsage, ...]]:
    """What the GPUs of `detect` do, once more whenever the next is asked for; blocks meanwhile.

    Ends where there are none, or no driver. Which they are is decided once: CUDA does not number
    anew what a process uses because a GPU is lost. The session with the driver stays open.
    """
    import pynvml  # noqa: PLC0415  # as in detect()

    with suppress(pynvml.NVMLError), _session(pynvml):
        driver = _Driver(pynvml, _MEMINFO)
        handles = driver.handles(visible)
        while handles:
            yield tuple(driver.usage(*it) for it in handles)


@contextmanager
def _session(nvml: Any) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


class _Driver:
    """The questions, each with the errors that are answers to it."""

    def __init__(self, nvml: Any, meminfo: Path) -> None:
        self._nvml = nvml
        self._meminfo = meminfo

    def hardware(self, visible: str | None) -> Hardware:
        driver = str(self._nvml.nvmlSystemGetDriverVersion())
        found = self._list()
        if not found:
            return Hardware(driver=driver, problem=no_gpu_problem())
        shown = visible_devices(visible, [gpu.device for gpu in found])
        gpus: list[Gpu] = []
        problems = [shown.problem]
        for place in shown.places:
            gpu = self._gpu(len(gpus), place, found[place[0]])
            if isinstance(gpu, Gpu):
                gpus.append(gpu)
            else:
                problems.append(gpu)
        problem = " ".join(filter(None, problems)) or None
        return Hardware(gpus=tuple(gpus), driver=driver, problem=problem)

    def handles(self, visible: str | None) -> list[tuple[int, str, Any]]:
        """Number, UUID and handle of each device that CUDA shows and that can be asked."""
        found = self._list()
        shown = visible_devices(visible, [gpu.device for gpu in found])
        return [
            (number, *found[number].at(mig))
            for number, mig in shown.places
            if found[number].problem is None
        ]

    def usage(self, number: int, uuid: str, handle: Any) -> GpuUsage:
        """Every figure that the driver gives at this moment."""
        nvml = self._nvml
        memory = self._told(self._own_memory, handle)
        return GpuUsage(
            number=number,
            uuid=uuid,
            utilization=_scaled(self._utilization(handle), 100),
            memory_used_bytes=memory and memory.total_bytes - memory.free_bytes,
            memory_total_bytes=memory and memory.total_bytes,
            power_watts=_scaled(self._told(nvml.nvmlDeviceGetPowerUsage, handle), 1000),
            power_limit_watts=_scaled(
                self._told(nvml.nvmlDeviceGetEnforcedPowerLimit, handle), 1000
            ),
            energy_joules=_scaled(
                self._told(nvml.nvmlDeviceGetTotalEnergyConsumption, handle), 1000
            ),
            # Its successor, nvmlDeviceGetTemperatureV, is missing in drivers that still run.
            temperature_celsius=self._told(
                nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU
            ),
        )

    def _told(self, ask: Callable[..., Any], *about: Any) -> Any:
        """The answer, or None: not supported, not allowed, lost."""
        try:
            return ask(*about)
        except self._nvml.NVMLError:
            return None

    def _list(self) -> list[_Found]:
        return [self._found(index) for index in range(self._nvml.nvmlDeviceGetCount())]

    def _found(self, index: int) -> _Found:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = str(nvml.nvmlDeviceGetUUID(handle))
            slices = self._slices(handle)
            names = None if slices is None else tuple(map(nvml.nvmlDeviceGetUUID, slices))
        except nvml.NVMLError as error:
            # It keeps its number, which CUDA_VISIBLE_DEVICES may use.
            problem = gpu_problem(index, error.value, str(error))
            return _Found(Device(uuid=""), problem=problem)
        return _Found(Device(uuid=uuid, slices=names), handle, slices or ())

    def _slices(self, handle: Any) -> tuple[Any, ...] | None:
        """Handles of the MIG devices; None unless the GPU is in MIG mode."""
        nvml = self._nvml
        try:
            current, _ = nvml.nvmlDeviceGetMigMode(handle)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return None
        if current != nvml.NVML_DEVICE_MIG_ENABLE:
            return None
        slices = []
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with suppress(nvml.NVMLError_NotFound):
                slices.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
        return tuple(slices)

    def _gpu(self, index: int, place: Place, found: _Found) -> Gpu | str:
        """The GPU at a place, or why it cannot be used."""
        if found.problem is not None:
            return found.problem
        number, mig = place
        _, handle = found.at(mig)
        try:
            return self._read(index, found.handle, handle, is_mig=mig is not None)
        except self._nvml.NVMLError as error:
            return gpu_problem(number, error.value, str(error))
        except (OSError, ValueError, LookupError):
            unknown = f"it shares the host's memory, and {self._meminfo} does not say how much"
            return f"GPU {number} is not used: {unknown} that is."

    def _read(self, index: int, parent: Any, handle: Any, *, is_mig: bool) -> Gpu:
        nvml = self._nvml
        name = str(nvml.nvmlDeviceGetName(handle))
        pci_id = self._pci_id(parent)
        memory = None if gpu_family(name, pci_id) in _UNIFIED else self._own_memory(handle)
        is_unified = memory is None
        if memory is None:
            memory = self._host_memory()
            used_bytes = self._held_by_processes(handle)
        else:
            used_bytes = memory.total_bytes - memory.free_bytes
        utilization = self._utilization(handle)
        return Gpu(
            index=index,
            uuid=str(nvml.nvmlDeviceGetUUID(handle)),
            name=name,
            pci_id=pci_id,
            memory_bytes=memory.total_bytes,
            free_bytes=memory.free_bytes,
            compute_capability=nvml.nvmlDeviceGetCudaComputeCapability(parent),
            utilization_percent=utilization,
            is_unified=is_unified,
            # "NVIDIA A100-SXM4-80GB MIG 1g.10gb"
            mig=name.rpartition(" MIG ")[2] if is_mig else None,
            is_free=_is_free(memory.total_bytes, used_bytes, utilization),
        )

    def _own_memory(self, handle: Any) -> _Memory | None:
        """What CUDA shows of the GPU's memory; None when it has none of its own."""
        nvml = self._nvml
        try:
            info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
            return _Memory(info.total - info.reserved, info.free)
        except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NotSupported):
            pass  # drivers before 510; GB10
        try:
            info = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError_NotSupported:
            return None
        # These drivers count what they reserve as used, and do not say how much it is.
        return _Memory(info.total, info.free)

    def _host_memory(self) -> _Memory:
        """Total, and what can be had without swapping: vLLM takes the same (mem_utils.py)."""
        lines = (line.split(":") for line in self._meminfo.read_text(encoding="ascii").splitlines())
        kib = {name: int(value.split()[0]) for name, value in lines}
        return _Memory(kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024)

    def _held_by_processes(self, handle: Any) -> int:
        processes = self._told(self._nvml.nvmlDeviceGetComputeRunningProcesses, handle)
        return sum(process.usedGpuMemory or 0 for process in processes or ())

    def _utilization(self, handle: Any) -> int | None:
        rates = self._told(self._nvml.nvmlDeviceGetUtilizationRates, handle)
        return None if rates is None else int(rates.gpu)

    def _pci_id(self, handle: Any) -> str:
        info = self._told(self._nvml.nvmlDeviceGetPciInfo, handle)
        if info is None:
            return ""
        return f"{info.pciDeviceId >> 16:04x}:{info.pciDeviceId & 0xFFFF:04x}"


def _is_free(total_bytes: int, used_bytes: int, utilization_percent: int | None) -> bool:
    """The rule above. Of memory shared with the host only what processes hold counts as used."""
    if used_bytes > max(_DESKTOP_BYTES, _OTHERS_SHARE * total_bytes):
        return False
    computes = utilization_percent is not None and utilization_percent >= _BUSY_PERCENT
    return not (computes and used_bytes >= _CONTEXT_BYTES)


def _scaled(value: int | None, parts: int) -> float | None:
    return None if value is None else value / parts
