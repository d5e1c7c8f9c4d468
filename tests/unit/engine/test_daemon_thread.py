"""Blocking calls that nobody has to wait for."""

import asyncio
import signal
import threading

import pytest

from engine.daemon_thread import call_in_daemon_thread


def test_it_returns_and_raises_what_the_function_does() -> None:
    async def fail() -> None:
        await call_in_daemon_thread(lambda: int("x"), "test")

    assert asyncio.run(call_in_daemon_thread(lambda: 7, "test")) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(fail())


def test_a_call_that_hangs_can_be_left_behind() -> None:
    release = threading.Event()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call_in_daemon_thread(release.wait, "test"), 0.05)
        release.set()
        await asyncio.sleep(0.05)  # the late result finds nobody, and nothing breaks

    asyncio.run(scenario())


def test_ctrl_c_is_masked_for_what_the_call_starts() -> None:
    def mask() -> set[int]:
        return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}

    assert signal.SIGINT in asyncio.run(call_in_daemon_thread(mask, "test"))
