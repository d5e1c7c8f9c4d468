"""vLLM's renderer, where a tool call that a request forces follows the tool's schema.

And what it fails on is the request's fault: it has nothing else to work on, and the parts of
messages are validated by nobody before; an image without an address may end in an assertion.

vLLM constrains the arguments of most models' calls only for tools that say `strict`; without it
they may be any text, and so may what LangChain and others get by forcing one tool. NIM, and vLLM
itself before, always held forced calls to the schema. A tool that says `"strict": false` is free.
"""

import json
import logging
from collections.abc import Awaitable, Iterator
from functools import partial
from typing import Any, TypeVar

import xgrammar
from openai.types.responses import FunctionTool
from vllm.entrypoints.generate.base.protocol import FunctionDefinition
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
    ChatCompletionToolsParam,
)
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.renderers.online_renderer import OnlineRenderer

from engine.errors import InvalidRequestError
from engine.vllm.refusals import UnreadablePromptError
from engine.vllm.sound_grammars import SOUND

log = logging.getLogger(__name__)

Rendered = TypeVar("Rendered")

_FREE = (None, "none", "auto")


class Renderer(OnlineRenderer):
    """Both ways vLLM makes a grammar of a request's tools, after the prompt has been told them."""

    async def preprocess_chat(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Render the prompt, and constrain the answer; raises `InvalidRequestError`."""
        _hold_to_schemas(request)
        rendered = await _read(super().preprocess_chat(request, *arguments, **options))
        _check_schemas(request)
        return rendered

    async def render_responses(self, *arguments: Any, **options: Any) -> Any:
        """As vLLM's; raises `UnreadablePromptError`."""
        return await _read(super().render_responses(*arguments, **options))

    def adjust_harmony_request(self, request: ChatCompletionRequest | ResponsesRequest) -> None:
        """The same constraint for gpt-oss, whose prompts are made elsewhere."""
        _hold_to_schemas(request)
        super().adjust_harmony_request(request)
        _check_schemas(request)


async def _read(rendering: Awaitable[Rendered]) -> Rendered:
    try:
        return await rendering
    except (AssertionError, AttributeError, LookupError) as error:
        log.warning("engine.prompt_unreadable", exc_info=error)
        raise UnreadablePromptError from error


def _hold_to_schemas(request: Any) -> None:
    """Make each function strict that does not say, if one of them has to be called."""
    if getattr(request, "tool_choice", None) not in _FREE:
        for function in _functions(request):
            if function.strict is None:
                function.strict = True


def _check_schemas(request: Any) -> None:
    """Name the tool whose schema makes no grammar: vLLM's own refusal names neither."""
    constraint = getattr(request, "structured_outputs", None)
    if constraint is None or constraint.structural_tag is None:
        return
    for function in _functions(request):
        if function.strict and function.parameters is not None:
            schema = json.dumps(function.parameters)
            make = partial(xgrammar.Grammar.from_json_schema, schema)
            try:
                SOUND.look_at("schema of a tool", schema, make)
            except RuntimeError as error:
                reason = str(error).partition(": ")[2].strip()  # behind a place in its source
                raise InvalidRequestError(
                    f"The schema of tool {function.name!r} cannot be enforced: {reason}", "tools"
                ) from None


def _functions(request: Any) -> Iterator[FunctionDefinition | FunctionTool]:
    """The functions of a request in either of OpenAI's dialects; none in any other request."""
    for tool in getattr(request, "tools", None) or []:
        if isinstance(tool, ChatCompletionToolsParam):
            yield tool.function
        elif isinstance(tool, FunctionTool):
            yield tool
