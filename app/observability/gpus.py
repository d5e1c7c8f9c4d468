"""Looks at the GPUs while serving.

The driver may take seconds to answer, and a GPU in trouble makes it hang for good: it is asked in a
thread of its own, of which there is one at most, and which nobody waits for when the process ends.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from engine.daemon_thread import call_in_daemon_thread

if TYPE_CHECKING:
    from profiles.hardware.usage import GpuUsage

_EVERY_S = 10.0


def gpu_usages(visible: str | None) -> "Iterator[Sequence[GpuUsage]]":
    """As `usages` of the driver, which is imported by whoever asks for the first."""
    from profiles.hardware.nvml import usages  # noqa: PLC0415  # *live* is answered before

    yield from usages(visible)


async def watch_gpus(
    usages: "Iterator[Sequence[GpuUsage]]",
    observe: "Callable[[Sequence[GpuUsage]], None]",
    every_s: float = _EVERY_S,
) -> None:
    """Tell `observe` what the GPUs do until `usages` ends, first after `every_s`.

    When the driver has not answered for that long, `observe` is told of no GPU until it does.
    """
    while True:
        await asyncio.sleep(every_s)
        asking = asyncio.ensure_future(
            call_in_daemon_thread(lambda: next(usages, None), "gpu-usage")
        )
        await asyncio.wait({asking}, timeout=every_s)
        if not asking.done():
            observe(())
        found = await asking
        if found is None:
            return
        observe(found)
