"""What a GPU is doing right now, as figures to export."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUsage:
    """One device of this process at one moment; None is what its driver does not tell.

    A GPU that is lost has no figure at all. Of a MIG device the driver tells little but memory, and
    where GPU and host share theirs not even that.
    """

    # NVML's, which is nvidia-smi's and DCGM's; a MIG device has its GPU's. CUDA's own begins at 0
    # in every process, so that two servers on one host would both have a GPU 0.
    number: int
    uuid: str
    utilization: float | None  # 0 to 1: share of the last moments in which something computed
    memory_used_bytes: int | None
    memory_total_bytes: int | None  # what CUDA shows, as in `Gpu.memory_bytes`
    power_watts: float | None
    power_limit_watts: float | None  # the one in force, whoever set it
    energy_joules: float | None  # since the driver was loaded
    temperature_celsius: int | None
