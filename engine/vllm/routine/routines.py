"""The routines of a model: which request has one, and when one is learned."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

from engine.answer import Answer, Stream
from engine.vllm.handed_over import HandedOver, handed_over
from engine.vllm.routine.routine import Routine

log = logging.getLogger(__name__)

# Applications have a few each; what comes seldom is not worth the memory.
_MOST = 256

Learn = Callable[
    [ChatCompletionRequest, ChatCompletionRequest, HandedOver], Awaitable[Routine | None]
]


class Routines:
    """By shape; learned from the second request of it, since many come once."""

    def __init__(self, learn: Learn) -> None:
        """`learn` gets a request as it came, as vLLM has it in the end, and what the engine got."""
        self._learn = learn
        self._known: dict[bytes, Routine | None] = {}
        """None where there is none to learn."""

        self._seen: dict[bytes, None] = {}

    def of(self, shape: bytes) -> Routine | None:
        """The routine of a request; None if it has to go vLLM's way."""
        return self._known.get(shape)

    async def watch(
        self, shape: bytes, request: ChatCompletionRequest, answer: Awaitable[Answer]
    ) -> Answer:
        """Let a request go vLLM's way, and learn from it."""
        if shape in self._known:
            return await answer
        if shape not in self._seen:
            _keep(self._seen, shape, None)
            return await answer
        asked = request.model_copy(deep=True)  # parsers write to it
        seen: HandedOver = []
        token = handed_over.set(seen)
        try:
            answered = await answer
        finally:
            handed_over.reset(token)
        try:
            _keep(self._known, shape, await self._learned(asked, request, seen))
        except BaseException:  # the client has left, and nobody else knows of the stream
            if isinstance(answered, Stream):
                await answered.close()
            raise
        return answered

    async def _learned(
        self, asked: ChatCompletionRequest, request: ChatCompletionRequest, seen: HandedOver
    ) -> Routine | None:
        try:
            return await self._learn(asked, request, seen)
        except Exception:  # what is not learned does no harm: vLLM's way is there
            log.exception("engine.routine_not_learned")
            return None


def _keep(known: dict[bytes, Any], shape: bytes, value: Any) -> None:
    """Keep the youngest."""
    if len(known) >= _MOST:
        del known[next(iter(known))]
    known[shape] = value
