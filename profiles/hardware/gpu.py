"""What the machine offers to run a model on: its GPUs as values, and what such GPUs can compute.

Nothing here asks the machine: `profiles.hardware.nvml` does, and tests write machines down by hand.
"""

from dataclasses import dataclass

from profiles.hardware.family import gpu_family

Capability = tuple[int, int]

# The engine's build is for CUDA 13, which has no code for anything older than Turing (CUDA 13.0
# release notes: Maxwell, Pascal and Volta are gone), whatever precision it is asked for.
_OLDEST: Capability = (7, 5)
_NEVER: Capability = (99, 0)


@dataclass(frozen=True, slots=True)
class _Precision:
    """From which compute capability on: at all, and in the GPU's own arithmetic."""

    runs_from: Capability
    native_from: Capability
    runs_below: Capability = _NEVER


# `runs_from` is get_min_capability of vLLM 0.32.0's classes in model_executor/layers/quantization
# (75 is Turing); between it and `native_from`, weights are kept narrow and widened by Marlin, which
# saves memory but no arithmetic.
_PRECISIONS = {
    "fp32": _Precision((7, 5), (7, 5)),
    "fp16": _Precision((7, 5), (7, 5)),
    "bf16": _Precision((8, 0), (8, 0)),  # supported_dtypes in platforms/cuda.py
    "fp8": _Precision((7, 5), (8, 9)),  # fp8.py; supports_fp8 in platforms/cuda.py
    "mxfp8": _Precision((8, 0), (10, 0)),  # modelopt.py, ModelOptMxFp8Config
    # CUTLASS's 8-bit integers end with Hopper: a W8A8 checkpoint loads on Blackwell and dies in the
    # first forward pass with "Int8 not supported on SM100" (csrc/…/c3x/scaled_mm_helper.hpp).
    "int8": _Precision((7, 5), (7, 5), runs_below=(10, 0)),
    "int4": _Precision((7, 5), _NEVER),  # auto_awq.py, marlin_utils.py: weights only, everywhere
    "nvfp4": _Precision((7, 5), (10, 0)),  # modelopt.py, compressed_tensors_w4a4_nvfp4.py
    "mxfp4": _Precision((8, 0), (10, 0)),  # mxfp4.py
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device as CUDA shows it to this process: a whole GPU, or a MIG device."""

    index: int  # CUDA's number for it in this process (position after CUDA_VISIBLE_DEVICES)
    uuid: str
    name: str
    pci_id: str  # device:vendor in lower-case hex, as NIM prints it: "2330:10de"; "" when unknown
    memory_bytes: int  # what CUDA shows as total (NVML's total less what the driver reserves)
    free_bytes: int
    compute_capability: Capability
    utilization_percent: int | None  # of the processors; None where the driver does not tell (MIG)
    is_unified: bool  # shares the host's memory: GB10 does, GH200's GPU has its own
    mig: str | None  # MIG profile, such as "1g.10gb"; None for a whole GPU
    is_free: bool  # nothing else uses it in earnest; profiles.hardware.nvml has the rule

    @property
    def family(self) -> str:
        """The catalogue's word for it, "" when it is none we know."""
        return gpu_family(self.name, self.pci_id)

    @property
    def used_percent(self) -> int:
        """Share of the memory in use: the figure that NIM lists as "current utilization"."""
        used_bytes = self.memory_bytes - self.free_bytes
        return 100 * used_bytes // self.memory_bytes if self.memory_bytes else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The devices of this process in CUDA's order; none at all is a machine like any other.

    `problem` says in sentences why devices that seem to be there are not in `gpus`, and what to do.
    It may stand beside GPUs that work (one of eight is lost), so it does not mean that there are
    none.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    problem: str | None = None

    @property
    def free_gpus(self) -> tuple[Gpu, ...]:
        """Those that nothing else uses in earnest."""
        return tuple(gpu for gpu in self.gpus if gpu.is_free)


def supports_precision(compute_capability: Capability, precision: str) -> bool:
    """Whether the engine runs such a checkpoint at all, if need be by widening its weights.

    A word that is not in the table is the engine's to judge, on any GPU it has code for.
    """
    if compute_capability < _OLDEST:
        return False
    known = _PRECISIONS.get(precision)
    return known is None or known.runs_from <= compute_capability < known.runs_below


def has_native_precision(compute_capability: Capability, precision: str) -> bool:
    """Whether the GPU computes in this precision, so that it gains speed and not only memory."""
    known = _PRECISIONS.get(precision)
    return known is not None and (
        known.native_from <= compute_capability
        and supports_precision(compute_capability, precision)
    )
