"""Machines, written down by hand: what CUDA shows of the GPUs that people have."""

from dataclasses import replace

from profiles.hardware import Gpu, Hardware

_GIB = 1 << 30
# What CUDA shows as total, and what an idle card has free, in GiB (public vLLM start-up logs).
_KINDS = {
    "h100": ("NVIDIA H100 80GB HBM3", "2330:10de", 79.19, 78.7, (9, 0)),
    "h200": ("NVIDIA H200", "2335:10de", 139.80, 139.1, (9, 0)),
    "b200": ("NVIDIA B200", "2901:10de", 178.35, 177.6, (10, 0)),
    "a100-40gb": ("NVIDIA A100-SXM4-40GB", "20b0:10de", 39.39, 39.0, (8, 0)),
    "a100": ("NVIDIA A100-SXM4-80GB", "20b2:10de", 79.25, 78.8, (8, 0)),
    "l40s": ("NVIDIA L40S", "26b9:10de", 44.39, 43.9, (8, 9)),
    "l4": ("NVIDIA L4", "27b8:10de", 22.04, 21.7, (8, 9)),
    "t4": ("Tesla T4", "1eb8:10de", 14.56, 14.4, (7, 5)),
    "rtx4090": ("NVIDIA GeForce RTX 4090", "2684:10de", 23.52, 23.1, (8, 9)),
    "gb10": ("NVIDIA GB10", "2e12:10de", 119.6, 110.0, (12, 1)),
}


def gpu(kind: str, index: int = 0, *, busy: bool = False, mig: str | None = None) -> Gpu:
    """One GPU; a busy one has half of its memory taken."""
    name, pci_id, total_gib, free_gib, capability = _KINDS[kind]
    if mig is not None:
        total_gib = free_gib = float(mig.partition(".")[2].removesuffix("gb")) * 0.975
    return Gpu(
        index=index,
        uuid=f"GPU-{index}",
        name=f"{name} MIG {mig}" if mig else name,
        pci_id=pci_id,
        memory_bytes=int(total_gib * _GIB),
        free_bytes=int((total_gib / 2 if busy else free_gib) * _GIB),
        compute_capability=capability,
        utilization_percent=60 if busy else None if mig else 0,
        is_unified=kind == "gb10",
        mig=mig,
        is_free=not busy,
    )


def machine(kind: str, count: int = 1, *, busy: tuple[int, ...] = ()) -> Hardware:
    """So many GPUs of a kind."""
    return Hardware(gpus=tuple(gpu(kind, index, busy=index in busy) for index in range(count)))


def together(*machines: Hardware) -> Hardware:
    """One machine with the GPUs of several, numbered through."""
    gpus = [gpu for machine in machines for gpu in machine.gpus]
    return Hardware(gpus=tuple(replace(gpu, index=index) for index, gpu in enumerate(gpus)))


MACHINES = {
    "1xH100": machine("h100"),
    "2xH100": machine("h100", 2),
    "8xH100": machine("h100", 8),
    "8xH100, one busy": machine("h100", 8, busy=(3,)),
    "8xH200": machine("h200", 8),
    "1xH200": machine("h200"),
    "1xB200": machine("b200"),
    "8xB200": machine("b200", 8),
    "1xA100 40GB": machine("a100-40gb"),
    "2xA100 40GB": machine("a100-40gb", 2),
    "4xL40S": machine("l40s", 4),
    "L4": machine("l4"),
    "T4": machine("t4"),
    "RTX 4090": machine("rtx4090"),
    "GB10": machine("gb10"),
    "H100 MIG 1g.10gb": Hardware(gpus=(gpu("h100", mig="1g.10gb"),)),
    "H100 MIG 3g.40gb": Hardware(gpus=(gpu("h100", mig="3g.40gb"),)),
    "no GPU": Hardware(),
    "failing driver": Hardware(problem="The NVIDIA driver does not answer: reload it."),
}
