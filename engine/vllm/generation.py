"""One generation on its way: admitted before the first byte, read token by token, always ended.

vLLM's `AsyncLLM.generate` validates and admits a request only when its first output is awaited,
which is after a streamed answer has begun with 200. Here the two are separate, and whoever created
generations can close them, so that a client that left is never generated for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from vllm.outputs import STREAM_FINISHED, PoolingRequestOutput, RequestOutput
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError
from vllm.v1.engine.output_processor import RequestOutputCollector

from engine.errors import EngineDeadError, EngineError, GenerationFailedError
from engine.vllm.refusals import DEAD, FAILED, EndedEarlyError

log = logging.getLogger(__name__)

# Nobody who still reads has asked for it: the engine is ending, or has failed. Not an answer.
_UNFINISHED = ("abort", "error")

Output = RequestOutput | PoolingRequestOutput

created: ContextVar[list["Generation"]] = ContextVar("created")
"""The generations of the request that is being answered, in the order vLLM asked for them."""


class Generation:
    """An asynchronous iterator of outputs, as `AsyncLLM.generate` and `encode` would return."""

    def __init__(
        self,
        admit: Callable[[], Awaitable[RequestOutputCollector]],
        abort: Callable[[str | None], Awaitable[None]],
    ) -> None:
        """`abort` gets the id vLLM gave the request, None if it has not told."""
        self._admit = admit
        self._abort = abort
        self._begun = False
        self._queue: RequestOutputCollector | None = None
        self._finished = False

    async def admit(self) -> None:
        """Validate the request and hand it to the engine; raises what refuses it."""
        if self._queue is None:
            self._begun = True
            self._queue = await self._admit()

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
            output = queue.get_nowait() or await queue.get()
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
        return output

    async def aclose(self) -> None:
        """Stop generating, if the engine has not finished by itself."""
        if self._finished:
            return
        self._finished = True
        if self._queue is not None:
            await self._abort(self._queue.request_id)
            self._queue.close()  # type: ignore[no-untyped-call]  # vLLM's, untyped
        elif self._begun:  # cancelled in the middle of its admission
            await self._abort(None)
