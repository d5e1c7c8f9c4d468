"""What an error of NVIDIA's driver means for the user, as sentences that say what to do."""

from pathlib import Path

# NVML's return codes (nvml.h): part of its ABI, so that a number means the same in every driver.
NO_PERMISSION = 4
INSUFFICIENT_POWER = 8
DRIVER_NOT_LOADED = 9
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
UNKNOWN = 999

_LOOK = "look for NVRM and Xid lines in the host's kernel log (dmesg)"
_DRIVER = {
    NO_PERMISSION: "The NVIDIA driver refuses this user: give it access to /dev/nvidia* "
    "(in a container, start it with --gpus or the nvidia runtime instead of mounting devices).",
    DRIVER_NOT_LOADED: "The NVIDIA driver is installed but not loaded: load it on the host "
    "(modprobe nvidia), and install it again if that fails.",
    LIB_RM_VERSION_MISMATCH: "The NVIDIA driver's library and its kernel module differ in version, "
    "as after an update without a reboot: reboot the host, then start the container anew.",
    # What NVIDIA's container toolkit documents as "containers lose access to GPUs": after
    # `systemctl daemon-reload` on the host, nvmlInit inside says exactly this.
    UNKNOWN: "The NVIDIA driver fails with an unknown error: restart the container, which loses "
    f"its GPUs when systemd is reloaded on the host; if that does not help, {_LOOK}.",
}
_GPU = {
    NO_PERMISSION: "this process may not use it: give it access to the device, or leave it out "
    "with CUDA_VISIBLE_DEVICES",
    INSUFFICIENT_POWER: "it lacks power: check its power cables",
    GPU_IS_LOST: "it has fallen off the bus: reboot the host, and have the card checked if it "
    "happens again; until then leave it out with CUDA_VISIBLE_DEVICES",
    RESET_REQUIRED: "it needs a reset: stop what uses it, then run nvidia-smi --gpu-reset",
}


def driver_problem(code: int, name: str) -> str:
    """Why the whole driver is of no use; `name` is NVML's own word for the code."""
    return _DRIVER.get(
        code, f"The NVIDIA driver fails ({name}): run nvidia-smi on the host, and {_LOOK}."
    )


def gpu_problem(index: int, code: int, name: str) -> str:
    """Why one GPU of several is left out; `index` is nvidia-smi's number for it."""
    return f"GPU {index} is not used: {_GPU.get(code, f'the driver says {name}; {_LOOK}')}."


def no_gpu_problem() -> str:
    """Why a driver that works has nothing to show."""
    return (
        "The NVIDIA driver is loaded but shows no GPU: in a container, start it with --gpus all or "
        f"ask for nvidia.com/gpu; on the host, {_LOOK}."
    )


def no_library_problem(dev: Path) -> str | None:
    """Why there is no NVML although there are GPUs; None on a machine that has none."""
    if not any(dev.glob("nvidia[0-9]*")):
        return None
    return (
        "There are NVIDIA GPUs in /dev but no libnvidia-ml.so.1: in a container, set "
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility; on the host, install the driver's libraries."
    )
