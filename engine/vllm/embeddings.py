"""POST /v1/embeddings: OpenAI's request and NIM's fields, on vLLM's embedding class.

NIM's retriever models have fields that OpenAI's do not: `input_type` (or a suffix of the model's
name), `truncate` and `embedding_type`. vLLM has them under other names, or not at all.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, Field
from vllm.entrypoints.pooling.base.protocol import EncodingRequestMixin
from vllm.entrypoints.pooling.embed.protocol import (
    EmbeddingChatRequest,
    EmbeddingCompletionRequest,
    EmbeddingResponse,
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
from engine.errors import InvalidRequestError
from engine.vllm.assembly import Assembly
from engine.vllm.contract import WORKS, Contract
from engine.vllm.exchange import validate
from engine.vllm.own_ids import OwnIds

_SUFFIXES = {"-query": "query", "-passage": "passage"}
# NIM's word → the names that models' own configurations have for it.
_PROMPTS = {
    "query": ("query", "search_query"),
    "passage": ("passage", "document", "search_document"),
}
# NIM's word for the end that is cut off → vLLM's, where the side is the one that stays.
_SIDES: dict[str, Literal["left", "right"]] = {"END": "right", "START": "left"}


def _check_not_empty(given: Any) -> Any:
    """Say it in one sentence, where Pydantic has one for each type there may be."""
    if given in ("", []):
        raise InvalidRequestError("input must not be empty.", "input")
    return given


_NotEmpty = Field(min_length=1)
_Inputs = (
    Annotated[list[int], _NotEmpty]
    | Annotated[list[list[int]], _NotEmpty]
    | Annotated[str, _NotEmpty]
    | Annotated[list[str], _NotEmpty]
)


class _Fields(EncodingRequestMixin):
    """NIM's fields, and of vLLM's those values that are served here."""

    input_type: Literal["query", "passage"] | None = None
    truncate: Literal["NONE", "END", "START"] | None = None
    embedding_type: Literal["float", "binary", "ubinary"] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    embed_dtype: Literal["float32"] = "float32"
    endianness: Literal["native", "little"] = "native"


class EmbeddingsRequest(_Fields, EmbeddingCompletionRequest):
    """Texts or token ids."""

    input: Annotated[_Inputs, BeforeValidator(_check_not_empty)]


class EmbeddingsChatRequest(_Fields, EmbeddingChatRequest):
    """A chat."""


CONTRACTS = {
    "POST /v1/embeddings": Contract(
        request=EmbeddingsRequest | EmbeddingsChatRequest,
        response=EmbeddingResponse,
        errors=WORKS,
        example={"input": ["A cat sleeps.", "A kitten naps."]},
        leaves_out=True,
    )
}


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
        data = self._assembly.read("POST /v1/embeddings", body, ("", *_SUFFIXES))
        request: EmbeddingsRequest | EmbeddingsChatRequest
        if data.get("messages") is not None:
            request = validate(EmbeddingsChatRequest, data)
        else:
            request = validate(EmbeddingsRequest, data)
        input_type = self._input_type(request)
        if request.truncate in _SIDES:
            request.truncate_prompt_tokens = -1  # to the longest there is
            request.truncation_side = _SIDES[request.truncate]
        if isinstance(request, EmbeddingsChatRequest):
            return await self._ask(request, "messages")
        self._put_prompt(request, input_type)
        return await self._ask(request, "input")

    def _input_type(self, request: EmbeddingsRequest | EmbeddingsChatRequest) -> str | None:
        """What kind of input it is, by its field or the model's name; the name loses its suffix."""
        model, served = request.model, self._assembly.served
        if model is None or model in served:
            return request.input_type
        for suffix, meant in _SUFFIXES.items():
            if model.removesuffix(suffix) in served:
                request.model = model.removesuffix(suffix)
                return request.input_type or meant
        return request.input_type

    def _put_prompt(self, request: EmbeddingsRequest, input_type: str | None) -> None:
        """Put what the model wants before each text."""
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
