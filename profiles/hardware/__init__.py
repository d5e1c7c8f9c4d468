"""What the machine has: its GPUs, and what the driver and the environment say of them."""

from profiles.hardware.gpu import (
    Capability,
    Gpu,
    Hardware,
    has_native_precision,
    supports_precision,
)

__all__ = ["Capability", "Gpu", "Hardware", "has_native_precision", "supports_precision"]
