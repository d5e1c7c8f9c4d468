"""Drives a stream of frames from the place where the engine's output arrives.

vLLM's generators of frames are asynchronous, so each token would wake a task that reads it, and
each wake-up costs more than the frame. Here the generator is a step function: the output is put
down, the generator is run until it wants the next one, and what it has yielded is written, all in
one call. The frames are vLLM's own, or made from two of them (`shortcut`).
"""

import asyncio
import contextvars
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from engine.answer import Wire
from engine.vllm.generation import NEXT_OUTPUT, Generation
from engine.vllm.shortcut import Example, Shortcut, TextFrame

# Frames that differ in more than their text will go on to do so.
_MOST_EXAMPLES = 4


class Pump:
    """One stream with one generation, of one choice or several."""

    def __init__(self, frames: AsyncGenerator[str], generation: Generation) -> None:
        self._frames = frames
        self._generation = generation
        self._context = contextvars.copy_context()
        self._step: Any = None  # what __anext__ gives, in the middle of its work
        self._is_advancing = False
        self._waits_elsewhere = False
        self._elsewhere: asyncio.Future[Any] | None = None
        self._wire: Wire
        self._turn: asyncio.Future[bool]
        self._examples: defaultdict[int, list[Example]] = defaultdict(list)  # by choice
        self._shortcuts: list[Shortcut] = []

    async def run(self, wire: Wire) -> None:
        """Write every frame until the last; raises what the frames raise.

        While the wire is full nothing is written, and text gathers in vLLM's queue of the request.
        """
        self._wire = wire
        self._generation.tell(self._on_output)
        try:
            while not await self._run_until_full():
                await wire.drain()
        finally:
            for shortcut in self._shortcuts:
                shortcut.close()
            self._shortcuts.clear()  # they have this pump

    async def aclose(self) -> None:
        """Stop where it is; the generator ends as if its reader had been cancelled."""
        self._generation.tell(None)
        if self._elsewhere is not None:
            self._elsewhere.cancel()
        if self._step is not None:
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await self._step
        await self._frames.aclose()

    async def _run_until_full(self) -> bool:
        """Whether all has been written."""
        self._turn = asyncio.get_running_loop().create_future()
        for shortcut in self._shortcuts:
            shortcut.write()
        self._on_output()
        try:
            return await self._turn
        except asyncio.CancelledError:
            ended = (
                not self._turn.cancelled() and not self._turn.exception() and self._turn.result()
            )
            if not ended:
                raise
            return True  # all was written before whoever cancels came

    def _on_output(self) -> None:
        """Run the generator for as long as it has something to say and there is room for it."""
        # An answer that fails aborts itself, and gets a last output while it does.
        if self._is_advancing or self._waits_elsewhere or self._turn.done():
            return
        self._is_advancing = True
        try:
            self._context.run(self._advance)
        except StopAsyncIteration:
            self._turn.set_result(True)
        except BaseException as error:  # noqa: BLE001  # the engine's loop, which it is not meant for
            self._turn.set_exception(error)
        finally:
            self._is_advancing = False

    def _advance(self) -> None:
        frames: list[bytes] = []
        try:
            while True:
                if self._step is None:
                    self._step = self._frames.__anext__()
                try:
                    waits_for = self._step.send(None)
                    break
                except StopIteration as done:
                    frames.append(done.value.encode())
                except BaseException:
                    self._step = None
                    raise
                self._step = None
        finally:
            has_room = not frames or self._wire.write(*frames)
        if waits_for is not NEXT_OUTPUT:
            self._wait_elsewhere(waits_for)
        if not has_room:
            self._on_full()
        elif waits_for is NEXT_OUTPUT:
            self._find_shortcut(frames)

    def _on_full(self) -> None:
        if not self._turn.done():
            self._turn.set_result(False)

    def _on_error(self, error: Exception) -> None:
        if not self._turn.done():
            self._turn.set_exception(error)

    def _find_shortcut(self, frames: list[bytes]) -> None:
        """Let text go its short way where it is known what that looks like."""
        last, known = self._generation.last, self._generation.frame
        if known is None and len(frames) == 1:
            self._learn(frames[0])
        elif known is not None and last is not None and not self._shortcuts:
            self._open_shortcut(last.index, known)

    def _learn(self, frame: bytes) -> None:
        last = self._generation.last
        if last is None or not last.text:
            return
        examples = self._examples[last.index]
        if len(examples) >= _MOST_EXAMPLES or not self._generation.passes_text(last.index):
            return
        example = Example(frame, last.text, tuple(last.token_ids))
        for other in examples:
            common = example.common(other)
            if common is not None:
                self._open_shortcut(last.index, common)
                break
        examples.append(example)

    def _open_shortcut(self, choice: int, frame: TextFrame) -> None:
        shortcut = self._generation.open_shortcut(
            choice, frame, self._wire, self._on_full, self._on_error
        )
        if shortcut is not None:
            self._shortcuts.append(shortcut)

    def _wait_elsewhere(self, future: Any) -> None:
        """For a lock, say: go on when it is done, as a task would."""
        self._waits_elsewhere = True
        if future is None:  # asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        future._asyncio_future_blocking = False  # how a task takes note of it
        self._elsewhere = future
        future.add_done_callback(self._go_on)

    def _go_on(self, *_: Any) -> None:
        self._waits_elsewhere = False
        self._elsewhere = None
        self._on_output()
