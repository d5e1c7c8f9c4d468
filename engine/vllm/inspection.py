"""What the model is given, without generating: token ids of a text or a chat, and back."""

from typing import Any

from vllm.entrypoints.scale_out.render.serving import ServingRender
from vllm.entrypoints.scale_out.token_in_token_out.protocol import GenerateRequest
from vllm.entrypoints.serve.tokenize.protocol import (
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeChatRequest,
    TokenizeCompletionRequest,
    TokenizeResponse,
)
from vllm.entrypoints.serve.tokenize.serving import ServingTokenization

from engine.answer import Answer
from engine.errors import ContextLengthError, InvalidRequestError
from engine.foreign_fields import NAMES, translate_fields
from engine.vllm.assembly import Assembly
from engine.vllm.completions import ASK_CHAT, ASK_TEXT, ChatRequest, Generating, TextRequest
from engine.vllm.contract import LOOKS, Contract
from engine.vllm.exchange import validate
from engine.vllm.own_ids import OwnIds

_RENDERS = (*LOOKS, ContextLengthError)
CONTRACTS = {
    "POST /tokenize": Contract(
        request=TokenizeCompletionRequest | TokenizeChatRequest,
        response=TokenizeResponse,
        errors=LOOKS,
        example={"prompt": "What is unigate?"},
    ),
    "POST /detokenize": Contract(
        request=DetokenizeRequest,
        response=DetokenizeResponse,
        errors=LOOKS,
        example={"tokens": [1, 2, 3]},
    ),
    "POST /v1/chat/completions/render": Contract(
        request=ChatRequest,
        response=GenerateRequest,
        errors=_RENDERS,
        foreign=NAMES,
        example=ASK_CHAT,
    ),
    "POST /v1/completions/render": Contract(
        request=TextRequest,
        response=list[GenerateRequest],
        errors=_RENDERS,
        foreign=NAMES,
        example=ASK_TEXT,
    ),
}


class _Tokenization(OwnIds, ServingTokenization):
    pass


class _Render(OwnIds, ServingRender):
    pass


class Inspection:
    """Serves the routes that only look; every model has a tokenizer, so every model has them."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._vocabulary = assembly.client.model_config.get_vocab_size()
        options = assembly.options_of(ServingTokenization)
        self._tokenization = _Tokenization(assembly.models, assembly.renderer, **options)
        self._render = _Render(assembly.models, assembly.renderer)

    async def tokenize(self, body: bytes) -> Answer:
        """Answer a request to /tokenize; raises `EngineError`."""
        data = self._assembly.read("POST /tokenize", body)
        is_chat = data.get("messages") is not None
        request = validate(TokenizeChatRequest if is_chat else TokenizeCompletionRequest, data)
        return await self._ask(
            self._tokenization.create_tokenize, request, "messages" if is_chat else "prompt"
        )

    async def detokenize(self, body: bytes) -> Answer:
        """Answer a request to /detokenize; raises `EngineError`."""
        request = validate(DetokenizeRequest, self._assembly.read("POST /detokenize", body))
        # vLLM leaves out what it does not know.
        if any(token >= self._vocabulary for token in request.tokens):
            raise InvalidRequestError(f"tokens must be below {self._vocabulary}.", "tokens")
        return await self._ask(self._tokenization.create_detokenize, request, "tokens")

    async def render_chat(self, body: bytes) -> Answer:
        """Answer a request to /v1/chat/completions/render; raises `EngineError`."""
        request = self._read_generating("POST /v1/chat/completions/render", ChatRequest, body)
        return await self._ask(self._render.render_chat_request, request, "messages")

    async def render_completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/completions/render; raises `EngineError`."""
        request = self._read_generating("POST /v1/completions/render", TextRequest, body)
        return await self._ask(self._render.render_completion_request, request, "prompt")

    def _read_generating(self, route: str, model: type[Generating], body: bytes) -> Generating:
        data = self._assembly.read(route, body)
        translate_fields(data)
        return validate(model, data)

    async def _ask(self, create: Any, request: Any, prompt_field: str) -> Answer:
        async def asked(request: Any) -> Any:
            return await create(request, None)

        return await self._assembly.answer(asked, request, prompt_field)
