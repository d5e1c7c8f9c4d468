"""Machines as data. Names, PCI ids and memory are those of real ones.

Totals and what the driver reserves are from published `nvidia-smi -q` outputs. The reserve differs
from driver to driver by some hundred MiB; where several were found, the one that leaves what vLLM's
start-up logs show as CUDA's total is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

MIB = 1024**2

# nvmlReturn_t
NOT_SUPPORTED = 3
DRIVER_NOT_LOADED = 9
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
LIB_RM_VERSION_MISMATCH = 18
UNKNOWN = 999
HANGS = -1  # the stub's own: never answers


@dataclass(frozen=True, kw_only=True)
class Process:
    """A CUDA process as the driver lists it."""

    pid: int
    used_mib: int


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A MIG device."""

    profile: str
    total_mib: int
    used_mib: int = 12


@dataclass(frozen=True, kw_only=True)
class Card:
    """One GPU; `answers` makes NVML's functions fail for it (name, nvmlReturn_t)."""

    name: str
    pci_id: str
    capability: tuple[int, int]
    total_mib: int | None  # None: shares the host's memory
    reserved_mib: int = 0
    used_mib: int = 1
    utilization: int | None = 0
    power_mw: int | None = 71_230
    power_limit_mw: int | None = 700_000
    energy_mj: int | None = 5_214_700_250  # more than fits into 32 bits
    celsius: int | None = 31
    slices: tuple[Slice, ...] | None = None  # None: MIG is off
    has_mig: bool = False
    processes: tuple[Process, ...] = ()
    answers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a driver shows; `has_library` False is a machine on which none is installed."""

    name: str
    cards: tuple[Card, ...] = ()
    driver: str = "580.95.05"
    has_library: bool = True
    answers: tuple[tuple[str, int], ...] = ()
    host_mib: int | None = 1024 * 1024  # None: /proc/meminfo says nothing
    host_available_mib: int = 1000 * 1024

    def uuid(self, card: int, mig: int | None = None) -> str:
        """UUID of a GPU, or of one of its MIG devices."""
        if mig is None:
            return f"GPU-{0xA0 + card:02x}5c0e1d-7d3a-4f2b-9c11-0000000000{card:02x}"
        return f"MIG-{0xA0 + card:02x}{mig:02x}0e1d-58b6-5cc2-8f10-0000000000{card:02x}"

    @property
    def description(self) -> str:
        """The lines that the stub reads."""
        return "\n".join([f"driver {self.driver}", *_answers(self.answers), *self._lines(), ""])

    @property
    def meminfo(self) -> str:
        """/proc/meminfo of this machine."""
        if self.host_mib is None:
            return ""
        return (
            f"MemTotal:       {self.host_mib * 1024} kB\n"
            f"MemFree:        {self.host_available_mib * 512} kB\n"
            f"MemAvailable:   {self.host_available_mib * 1024} kB\n"
        )

    def _lines(self) -> Iterator[str]:
        for index, card in enumerate(self.cards):
            yield "gpu"
            yield f"uuid {self.uuid(index)}"
            yield from _card(card, bus=0x19 + 0x11 * index)
            for number, mig in enumerate(card.slices or ()):
                yield "slice"
                yield f"uuid {self.uuid(index, number)}"
                yield f"name {card.name} MIG {mig.profile}"
                yield _memory(mig.total_mib, 0, mig.used_mib)


def _card(card: Card, *, bus: int) -> Iterator[str]:
    device, vendor = card.pci_id.split(":")
    yield f"name {card.name}"
    yield f"pci 0x{device}{vendor} {bus // 256:08x}:{bus % 256:02x}:00.0"
    yield "capability {} {}".format(*card.capability)
    yield f"utilization {_known(card.utilization)}"
    yield f"power {_known(card.power_mw)} {_known(card.power_limit_mw)}"
    yield f"energy {_known(card.energy_mj)}"
    yield f"temperature {_known(card.celsius)}"
    if card.total_mib is not None:
        yield _memory(card.total_mib, card.reserved_mib, card.used_mib)
    if card.has_mig:
        yield f"mig {int(card.slices is not None)}"
    for process in card.processes:
        yield f"process {process.pid} {process.used_mib * MIB}"
    yield from _answers(card.answers)


def _known(value: int | None) -> int:
    return -1 if value is None else value


def _memory(total_mib: int, reserved_mib: int, used_mib: int) -> str:
    free_mib = total_mib - reserved_mib - used_mib
    return f"memory {total_mib * MIB} {reserved_mib * MIB} {free_mib * MIB}"


def _answers(answers: tuple[tuple[str, int], ...]) -> Iterator[str]:
    for function, code in answers:
        yield f"answer {function} {code}"


H100 = Card(
    name="NVIDIA H100 80GB HBM3", pci_id="2330:10de", capability=(9, 0),
    total_mib=81559, reserved_mib=471, has_mig=True,
)  # fmt: skip
H200 = Card(
    name="NVIDIA H200", pci_id="2335:10de", capability=(9, 0),
    total_mib=143771, reserved_mib=606, has_mig=True,
)  # fmt: skip
B200 = Card(
    name="NVIDIA B200", pci_id="2901:10de", capability=(10, 0),
    total_mib=183359, reserved_mib=729, has_mig=True,
)  # fmt: skip
A100_40 = Card(
    name="NVIDIA A100-SXM4-40GB", pci_id="20b0:10de", capability=(8, 0),
    total_mib=40960, reserved_mib=620, used_mib=4, has_mig=True,
)  # fmt: skip
A100_80 = Card(
    name="NVIDIA A100-SXM4-80GB", pci_id="20b2:10de", capability=(8, 0),
    total_mib=81920, reserved_mib=768, has_mig=True,
)  # fmt: skip
L40S = Card(
    name="NVIDIA L40S", pci_id="26b9:10de", capability=(8, 9), total_mib=46068, reserved_mib=595,
)  # fmt: skip
L4 = Card(
    name="NVIDIA L4", pci_id="27b8:10de", capability=(8, 9), total_mib=23034, reserved_mib=460,
)  # fmt: skip
T4 = Card(
    name="Tesla T4", pci_id="1eb8:10de", capability=(7, 5), total_mib=15360, reserved_mib=451,
)  # fmt: skip
# A desktop draws on it: Xorg and a browser.
RTX_4090 = Card(
    name="NVIDIA GeForce RTX 4090", pci_id="2684:10de", capability=(8, 9),
    total_mib=24564, reserved_mib=482, used_mib=1240, utilization=6,
)  # fmt: skip
# NVML has no memory figures for it; nvidia-smi prints "Not Supported".
GB10 = Card(
    name="NVIDIA GB10", pci_id="2e12:10de", capability=(12, 1), total_mib=None, utilization=None,
    power_mw=4_180, power_limit_mw=None, energy_mj=None, celsius=38,
)  # fmt: skip

# Another vLLM, seen from a container: no processes, but the memory is gone.
BUSY_H100 = replace(H100, used_mib=74624, utilization=97)
LOST_H100 = replace(H100, answers=(("nvmlDeviceGetHandleByIndex_v2", GPU_IS_LOST),))

H100_1 = Machine(name="1xH100", cards=(H100,))
H100_8 = Machine(name="8xH100", cards=(H100,) * 8)
H100_8_ONE_BUSY = Machine(name="8xH100-one-busy", cards=(H100,) * 3 + (BUSY_H100,) + (H100,) * 4)
H100_8_ONE_LOST = Machine(name="8xH100-one-lost", cards=(H100,) * 3 + (LOST_H100,) + (H100,) * 4)
A100_40_1 = Machine(name="1xA100-40", cards=(A100_40,))
A100_40_2 = Machine(name="2xA100-40", cards=(A100_40,) * 2)
L40S_4 = Machine(name="4xL40S", cards=(L40S,) * 4)
L4_1 = Machine(name="1xL4", cards=(L4,))
T4_1 = Machine(name="1xT4", cards=(T4,))
RTX_4090_1 = Machine(name="1xRTX4090", cards=(RTX_4090,))
H200_1 = Machine(name="1xH200", cards=(H200,))
H200_8 = Machine(name="8xH200", cards=(H200,) * 8)
B200_1 = Machine(name="1xB200", cards=(B200,))
GB10_1 = Machine(name="1xGB10", cards=(GB10,), host_mib=122548, host_available_mib=116000)
MIG_SLICE = Machine(
    name="MIG-1g.10gb",
    cards=(replace(A100_80, utilization=None, slices=(Slice(profile="1g.10gb", total_mib=9728),)),),
)
MIG_SLICES = Machine(
    name="MIG-two-slices-and-a-GPU",
    cards=(
        replace(
            A100_80,
            utilization=None,
            slices=(
                Slice(profile="3g.40gb", total_mib=40192),
                Slice(profile="2g.20gb", total_mib=19968, used_mib=14366),
            ),
        ),
        A100_80,
    ),
)
NO_DRIVER = Machine(name="no-driver", has_library=False)
NO_GPU = Machine(name="driver-without-GPU")
DRIVER_NOT_LOADED_1 = Machine(
    name="driver-not-loaded", answers=(("nvmlInitWithFlags", DRIVER_NOT_LOADED),)
)
DRIVER_MISMATCH = Machine(
    name="driver-version-mismatch", answers=(("nvmlInitWithFlags", LIB_RM_VERSION_MISMATCH),)
)
DRIVER_UNKNOWN = Machine(name="driver-unknown-error", answers=(("nvmlInitWithFlags", UNKNOWN),))

MACHINES = {
    machine.name: machine
    for machine in (
        H100_1, H100_8, H100_8_ONE_BUSY, H100_8_ONE_LOST, A100_40_1, A100_40_2, L40S_4, L4_1, T4_1,
        RTX_4090_1, H200_1, H200_8, B200_1, GB10_1, MIG_SLICE, MIG_SLICES, NO_DRIVER, NO_GPU,
        DRIVER_NOT_LOADED_1, DRIVER_MISMATCH, DRIVER_UNKNOWN,
    )
}  # fmt: skip
