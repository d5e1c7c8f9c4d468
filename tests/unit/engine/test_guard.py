"""The guard between the watchdog and the engine's state."""

import asyncio

from engine.config import EngineConfig
from engine.guard import Guard
from tests.support.limits import DEFAULTS

STALL_AFTER_S = 0.4


class Silent:
    """A model that never answers a ping."""

    errored = False

    def process_ids(self) -> tuple[int, ...]:
        return ()

    def exit_code(self, _: int) -> int | None:
        return None

    async def ping(self) -> None:
        await asyncio.Event().wait()


def test_a_pulse_ends_a_stall_at_once() -> None:
    async def scene() -> list[bool]:
        told: list[bool] = []
        stalled = asyncio.Event()

        def follow(is_stalled: bool, _: str) -> None:
            told.append(is_stalled)
            if is_stalled:
                stalled.set()

        config = EngineConfig(
            model="",
            served_names=("m",),
            arguments=(),
            limits=DEFAULTS,
            stall_after_s=STALL_AFTER_S,
        )
        guard = Guard(Silent(), config, follow)
        watching = asyncio.ensure_future(guard.watch())
        await asyncio.wait_for(stalled.wait(), 10)
        told.clear()
        guard.pulse()
        watching.cancel()
        guard.close()
        return told

    assert asyncio.run(scene()) == [False]
