"""One generation on its way: admitted before the first byte, read token by token, always ended.

vLLM's `AsyncLLM.generate` validates and admits a request only when its first output is awaited,
which is after a streamed answer has begun with 200. Here the two are separate, and whoever created
generations can close them, so that a client that left is never generated for.
"""

import asyncio
import logging
import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any

from vllm.outputs import (
    STREAM_FINISHED,
    CompletionOutput,
    PoolingRequestOutput,
    RequestOutput,
)
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError
from vllm.v1.engine.output_processor import RequestOutputCollector, RequestState

from engine.answer import Wire
from engine.errors import EngineDeadError, EngineError, GenerationFailedError
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.refusals import DEAD, FAILED, EndedEarlyError
from engine.vllm.shortcut import Shortcut, TextFrame, is_open_to

log = logging.getLogger(__name__)

# Nobody who still reads has asked for it: the engine is ending, or has failed. Not an answer.
_UNFINISHED = ("abort", "error")

Output = RequestOutput | PoolingRequestOutput

NEXT_OUTPUT = object()
"""What a generation that tells of its outputs yields to whoever steps it, in want of the next."""

created: ContextVar[list["Generation"]] = ContextVar("created")
"""The generations of the request that is being answered, in the order vLLM asked for them."""


def let_text_pass() -> None:
    """Say of the request that is being answered that its frames have all text as it is."""
    for generation in created.get([]):
        generation.gates = []


class Generation:
    """An asynchronous iterator of outputs, as `AsyncLLM.generate` and `encode` would return."""

    gates: list[Callable[[], bool]] | None = None
    """For each choice, whether from here on all its text is the answer's, as it is. Empty where
    nothing is between text and frames, None where nobody has said so who makes the frames."""

    frame: TextFrame | None = None
    """What is around the text of its only choice from here on, where whoever makes the frames has
    said so."""

    last: CompletionOutput | None = None
    """The output that was read last, if it was one, and of a model that generates."""

    def __init__(
        self,
        admit: Callable[[], Awaitable[RequestOutputCollector]],
        abort: Callable[[str | None], Awaitable[None]],
        state_of: Callable[[str], RequestState | None],
        plain: PlainTokens,
        on_close: Callable[[], None],
    ) -> None:
        """`abort` gets the id vLLM gave the request, None if it has not told.

        `state_of` finds by that id what vLLM knows of the request; `plain` is for all of an engine.
        `on_close` is called when it is closed, which may be more than once.
        """
        self._admit = admit
        self._abort = abort
        self._state_of = state_of
        self._plain = plain
        self._on_close = on_close
        self._begun = False
        self._queue: RequestOutputCollector | None = None
        self._finished = False
        self._is_told = False
        self._is_cancelled = False

    async def admit(self) -> None:
        """Validate the request and hand it to the engine; raises what refuses it."""
        if self._queue is None:
            self._begun = True
            self._queue = await self._admit()
            del self._admit  # it has the prompt, and what may be images

    def tell(self, listener: Callable[[], None] | None) -> None:
        """Call the listener for each output from now on; None cancels whoever waits for one.

        Whoever reads must then be stepped, and gets `NEXT_OUTPUT` when there is no output yet.
        """
        queue = self._queue
        assert queue is not None  # admitted before the first byte
        if listener is None:
            self._is_cancelled = True
            vars(queue).pop("put", None)
            return
        self._is_told = True
        put = type(queue).put

        def put_and_tell(output: Any) -> None:
            put(queue, output)
            if isinstance(output, Exception):
                # Whoever puts it tells all requests, and must not see them abort themselves.
                asyncio.get_running_loop().call_soon(listener)
            else:
                listener()

        queue.put = put_and_tell  # type: ignore[method-assign]  # vLLM calls nothing else

    def passes_text(self, choice: int) -> bool:
        """Whether from here on all text of a choice is the answer's, as it is."""
        return self.gates is not None and (not self.gates or self.gates[choice]())

    def open_shortcut(
        self,
        choice: int,
        frame: TextFrame,
        wire: Wire,
        on_full: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> Shortcut | None:
        """Let the text of a choice go its short way, until the last output; None if it cannot."""
        assert self._queue is not None  # it has been read
        name = self._queue.request_id
        # The other name is ParentRequest.get_child_info's, for one of several choices.
        state = self._state_of(name) or self._state_of(f"{choice}_{name}")
        if state is None or not is_open_to(state):
            return None
        return Shortcut(state, frame, wire, self._plain, on_full=on_full, on_error=on_error)

    def __aiter__(self) -> "Generation":
        return self

    async def __anext__(self) -> Output:
        if self._finished:
            raise StopAsyncIteration
        try:
            return await self._next()
        except (asyncio.CancelledError, StopAsyncIteration):
            await self.aclose()
            raise
        except EngineError as error:
            await self.aclose()
            raise EndedEarlyError(error) from None
        except VllmEngineDeadError:
            self._finished = True  # nobody is left to abort it
            raise EndedEarlyError(EngineDeadError(DEAD)) from None

    async def _next(self) -> Output:
        await self.admit()
        queue = self._queue
        assert queue is not None  # for the type checker: admit() has set it
        try:
            output = queue.get_nowait()
            while output is None:
                output = await self._later(queue)
        except (EngineError, VllmEngineDeadError):
            raise
        except Exception as error:
            # vLLM's output handler failed, and tells every open request with the bare exception.
            log.exception("engine.output_failed")
            raise GenerationFailedError(FAILED) from error
        if output is STREAM_FINISHED:
            self._finished = True
            raise StopAsyncIteration
        assert isinstance(output, Output)  # vLLM's union has an exception, too
        self._finished = output.finished
        if isinstance(output, RequestOutput) and any(
            completion.finish_reason in _UNFINISHED for completion in output.outputs
        ):
            raise GenerationFailedError("The engine ended this answer early.")
        if isinstance(output, RequestOutput):
            self.last = output.outputs[0] if len(output.outputs) == 1 else None
        return output

    async def _later(self, queue: RequestOutputCollector) -> Output | None:
        if not self._is_told:
            return await queue.get()
        if not self._is_cancelled:
            await _next_output()
        if self._is_cancelled:
            raise asyncio.CancelledError
        return queue.get_nowait()

    async def aclose(self) -> None:
        """Stop generating, if the engine has not finished by itself."""
        self._on_close()
        if self._finished:
            return
        self._finished = True
        if self._queue is not None:
            # Who closes it may be cancelled, too; the engine has to be told all the same.
            await asyncio.shield(self._abort(self._queue.request_id))
            self._queue.close()  # type: ignore[no-untyped-call]  # vLLM's, untyped
        elif self._begun:  # cancelled in the middle of its admission
            await self._abort(None)


@types.coroutine
def _next_output() -> Generator[object, None, None]:
    yield NEXT_OUTPUT
