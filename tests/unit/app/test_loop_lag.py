"""The event loop's lag, measured in one that is held up."""

import asyncio
import time

from app.observability.loop_lag import watch_loop_lag


def test_a_loop_that_is_held_up_is_late_by_that_and_one_that_is_not_is_on_time() -> None:
    seen_s: list[float] = []

    async def scenario() -> None:
        watching = asyncio.ensure_future(watch_loop_lag(seen_s.append))
        await asyncio.sleep(0.05)
        time.sleep(1.0)  # noqa: ASYNC251  # what must not happen
        await asyncio.sleep(0.35)
        watching.cancel()

    asyncio.run(scenario())
    assert 0.8 < max(seen_s) < 2
    assert min(seen_s) < 0.5
