"""POST /v1/embeddings: OpenAI's request and NIM's fields, on vLLM's embedding class.

NIM's retriever models have fields that OpenAI's do not: `input_type` (or a suffix of the model's
name), `truncate` and `embedding_type`. vLLM has them under other names, or not at all.
"""

from typing import Any

import orjson
from vllm.entrypoints.pooling.embed.protocol import (
    EmbeddingChatRequest,
    EmbeddingCompletionRequest,
    build_typed_embeddings,
)
from vllm.entrypoints.pooling.embed.serving import ServingEmbedding
from vllm.entrypoints.pooling.typing import PoolingServeContext
from vllm.entrypoints.pooling.utils import (
    encode_pooling_output_base64,
    encode_pooling_output_float,
    encode_pooling_output_float_or_ndarray,
    get_pooling_usage_payload,
)

from engine.answer import Answer
from engine.errors import InvalidRequestError, ModelNotFoundError
from engine.vllm.assembly import Assembly
from engine.vllm.exchange import validate
from engine.vllm.own_ids import OwnIds

_SUFFIXES = {"-query": "query", "-passage": "passage"}
# NIM's word → the names that models' own configurations have for it.
_PROMPTS = {
    "query": ("query", "search_query"),
    "passage": ("passage", "document", "search_document"),
}
# vLLM cuts to the longest there is at -1.
_TRUNCATE: dict[str, dict[str, Any]] = {
    "NONE": {},
    "END": {"truncate_prompt_tokens": -1, "truncation_side": "right"},
    "START": {"truncate_prompt_tokens": -1, "truncation_side": "left"},
}
_TYPES = ("float", "binary", "ubinary")
_FORMATS = ("float", "base64")


class _Serving(OwnIds, ServingEmbedding):
    def _build_response(self, ctx: PoolingServeContext[Any]) -> Any:
        """The body itself, where vLLM would build a response of its HTTP server's."""
        vectors = _encode(
            ctx.final_res_batch,
            kind=getattr(ctx.request, "embedding_type", None) or "float",
            as_base64=ctx.request.encoding_format == "base64",
        )
        body = {
            "id": ctx.request_id,
            "object": "list",
            "created": ctx.created_time,
            "model": ctx.model_name,
            "data": [
                {"index": index, "object": "embedding", "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "usage": get_pooling_usage_payload(ctx.final_res_batch),
        }
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def prompt_for(self, input_type: str) -> str:
        """What the model wants before such an input, "" if it makes no difference."""
        known = self.io_processor.task_instructions or {}
        return next((known[name] for name in _PROMPTS[input_type] if name in known), "")


class Embeddings:
    """Serves embeddings; only a model that embeds has one."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._serving = _Serving(  # type: ignore[no-untyped-call]  # vLLM's, untyped
            assembly.client,
            assembly.models,
            request_logger=None,
            chat_template_config=assembly.pooling_template(),
        )

    async def embed(self, body: bytes) -> Answer:
        """Answer a request to /v1/embeddings; raises `EngineError`."""
        data = self._assembly.read(body)
        input_type = self._input_type(data)
        _check_choice(data, "encoding_format", _FORMATS)
        _check_choice(data, "embedding_type", _TYPES)
        _check_choice(data, "truncate", tuple(_TRUNCATE))
        data |= _TRUNCATE[data.pop("truncate", None) or "NONE"]
        if "messages" in data:
            return await self._ask(validate(EmbeddingChatRequest, data), "messages")
        request = validate(EmbeddingCompletionRequest, data)
        self._prepare(request, input_type)
        return await self._ask(request, "input")

    def _input_type(self, data: dict[str, Any]) -> str | None:
        """What kind of input it is, by its field or the model's name; the name loses its suffix."""
        _check_choice(data, "input_type", tuple(_PROMPTS))
        input_type: str | None = data.pop("input_type", None)
        model, served = data.get("model"), self._assembly.served
        if model is None or model in served:
            return input_type
        for suffix, meant in _SUFFIXES.items():
            if isinstance(model, str) and model.removesuffix(suffix) in served:
                data["model"] = model.removesuffix(suffix)
                return input_type or meant
        raise ModelNotFoundError(str(model), served)

    def _prepare(self, request: EmbeddingCompletionRequest, input_type: str | None) -> None:
        """Put the model's prompt before each input, if there is one."""
        if not request.input:
            raise InvalidRequestError("input must not be empty.", "input")
        prompt = self._serving.prompt_for(input_type) if input_type else ""
        if not prompt:
            return
        if isinstance(request.input, str):
            request.input = prompt + request.input
        elif isinstance(request.input[0], str):
            request.input = [prompt + str(text) for text in request.input]

    async def _ask(self, request: Any, prompt_field: str) -> Answer:
        return await self._assembly.answer(self._serving, request, prompt_field)


def _encode(outputs: list[Any], *, kind: str, as_base64: bool) -> list[Any]:
    """The vectors as the request wants them."""
    if kind != "float":
        floats: list[Any] = [encode_pooling_output_float(output) for output in outputs]
        packed = build_typed_embeddings(floats, [kind])
        vectors: list[Any] = getattr(packed, kind)
        return vectors
    if as_base64:
        return [
            encode_pooling_output_base64(output, embed_dtype="float32", endianness="little")
            for output in outputs
        ]
    return [encode_pooling_output_float_or_ndarray(output) for output in outputs]


def _check_choice(data: dict[str, Any], field: str, choices: tuple[str, ...]) -> None:
    value = data.get(field)
    if value is not None and value not in choices:
        raise InvalidRequestError(f"{field} must be one of {', '.join(choices)}.", field)
