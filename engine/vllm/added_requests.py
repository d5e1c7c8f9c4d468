"""Requests as vLLM's output processor gets to know them, for whoever has something to do with each.

It is told of all of them, whichever way they came, before the engine is handed them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.output_processor import OutputProcessor, RequestState
from vllm.v1.engine.parallel_sampling import ParentRequest


class Added(NamedTuple):
    """A request that has just become known."""

    request: EngineCoreRequest
    state: RequestState
    prompt: str | None
    """Its text."""

    parent: ParentRequest | None
    """What it is one of several answers to."""

    choice: int
    """Which of them it is; 0 where it is the only one."""


def tell_of_requests(processor: OutputProcessor, *listeners: Callable[[Added], None]) -> None:
    """Call them for each request that is added from now on, in the context it is added in."""
    add = processor.add_request

    def add_and_tell(
        request: Any, prompt: Any, parent: Any = None, index: int = 0, queue: Any = None
    ) -> None:
        add(request, prompt, parent, index, queue)
        state = processor.request_states[request.request_id]
        added = Added(request, state, prompt, parent, index)
        for listener in listeners:
            listener(added)

    processor.add_request = add_and_tell  # type: ignore[method-assign,assignment]  # its last two names
