"""POST /v1/ranking, /v1/rerank and /v1/score: how well texts answer a query, on vLLM's class.

A cross-encoder reads query and text together and gives a logit. Of a model that embeds, vLLM
compares the vectors: cosine for one vector each, MaxSim for one of each token.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import orjson
from vllm.entrypoints.pooling.scoring.protocol import ScoreDataRequest
from vllm.entrypoints.pooling.scoring.serving import ServingScores
from vllm.entrypoints.pooling.typing import PoolingServeContext
from vllm.exceptions import VLLMValidationError
from vllm.outputs import ScoringRequestOutput
from vllm.tasks import SupportedTask
from vllm.utils.async_utils import make_async

from engine.answer import Answer
from engine.errors import (
    ContextLengthError,
    GenerationFailedError,
    InvalidRequestError,
    TaskNotSupportedError,
)
from engine.vllm import pairs
from engine.vllm.assembly import Assembly
from engine.vllm.exchange import validate
from engine.vllm.own_ids import OwnIds
from engine.vllm.pairs import Pairs, Texts
from engine.vllm.refusals import CONTEXT_PARAMETERS

_TRUNCATE = ("NONE", "END")
_BLANK = " "


class _Request(ScoreDataRequest):
    """A request of any route, in vLLM's own terms, and how its answer is written."""

    pairs: Pairs
    keeps_query: bool = False
    """Whether only documents may be too long, and only they are cut."""

    write: Callable[[list[float]], dict[str, Any]]
    """From the scores, in the order of the documents, to the fields that are the route's own."""


class _Serving(OwnIds, ServingScores):
    io_processor: Any
    """One of vLLM's scoring ones; which one the model decides."""

    def __init__(self, assembly: Assembly, tasks: tuple[SupportedTask, ...]) -> None:
        super().__init__(
            assembly.client,
            assembly.models,
            supported_tasks=tasks,
            request_logger=None,
            chat_template_config=assembly.pooling_template(),
            enable_flash_late_interaction=assembly.args.enable_flash_late_interaction,
        )
        tokenizer = self.io_processor.tokenizer
        self._most_characters = self.max_model_len * tokenizer.max_chars_per_token
        # The tokenizer is not for two threads at once: the renderer's own is the one to use.
        self._room_beside_async = make_async(self._room_beside, executor=self._executor)

    @property
    def reads_pairs(self) -> bool:
        """Whether it is a cross-encoder: what it gives are logits."""
        return self.io_processor_name == "cross-encoder"

    @property
    def separates(self) -> bool:
        """Whether query and text come to the model with a separator between them."""
        return self.reads_pairs and bool(self.io_processor.use_sep_token)

    @property
    def takes_images(self) -> bool:
        return bool(self.io_processor.is_multimodal_model)

    def check_limits(self, request: _Request) -> None:
        """Refuse limits on tokens that are out of bounds; vLLM does not name the field."""
        longest = self.max_model_len
        for field, least, most in (
            ("max_tokens_per_query", 0, longest - 1),
            ("max_tokens_per_doc", 0, longest - 1),
            ("truncate_prompt_tokens", -1, longest),
        ):
            value = getattr(request, field)
            if value is not None and not least <= value <= most:
                raise InvalidRequestError(f"{field} must be from {least} to {most}.", field)

    def check_lengths(self, texts: Texts) -> None:
        """Refuse what cannot fit whatever its tokens are, before it is tokenized."""
        for index, text in enumerate(texts.items):
            if isinstance(text, str) and len(text) > self._most_characters:
                place = texts.place_of(index)
                raise ContextLengthError(
                    f"{place} has {len(text)} characters, and the model's context is "
                    f"{self.max_model_len} tokens.",
                    place,
                )

    def shortened(self, texts: Texts) -> Texts:
        """Without what cannot fit whatever its tokens are; the rest is for the tokenizer to cut."""
        return Texts(texts.place, [text[: self._most_characters] for text in texts.items])

    async def _make_room(self, request: _Request) -> None:
        """Cut documents, if they may be cut, to what fits beside the query."""
        room = await self._room_beside_async(request.pairs.queries.items[0])
        if room < 1:
            place = request.pairs.queries.place
            raise ContextLengthError(f"{place} leaves no room in the model's context.", place)
        if request.truncate_prompt_tokens is not None:
            request.max_tokens_per_doc = room

    def _room_beside(self, query: str) -> int:
        """How many tokens a document may have, none or less if the query fills the context."""
        _, prompt = self.io_processor.get_score_prompt(
            query,
            _BLANK,
            encode_kwargs={"truncation": False, "add_special_tokens": True},
            chat_template=self.io_processor.chat_template,
        )
        return int(self.max_model_len) - len(prompt["prompt_token_ids"])

    async def _preprocessing(self, io_processor: Any, ctx: PoolingServeContext[Any]) -> None:
        """vLLM's, one prompt after another: the first that is refused ends it, and is named.

        Nothing is lost by it, since one thread tokenizes, and other requests get it in between.
        """
        if ctx.request.keeps_query:
            await self._make_room(ctx.request)
        prompts = io_processor.get_request_factory_online(ctx)
        ctx.engine_inputs = inputs = []
        for index, prompt in enumerate(prompts):
            try:
                inputs.append(await io_processor.render_async(prompt))
            except VLLMValidationError as error:
                if error.parameter not in CONTEXT_PARAMETERS:
                    raise
                place = ctx.request.pairs.place_of(index, ctx.n_queries or 0)
                raise ContextLengthError(f"{place}: {error.args[0]}", place) from None

    def _build_response(self, ctx: PoolingServeContext[Any]) -> Any:
        """The body itself, where vLLM would build a response of its HTTP server's."""
        scores = [
            ScoringRequestOutput.from_base(output).outputs.score for output in ctx.final_res_batch
        ]
        if not all(map(math.isfinite, scores)):
            raise GenerationFailedError("The model gave a score that is not a number.")
        assert ctx.engine_inputs is not None  # set in _preprocessing
        tokens = sum(self._extract_prompt_len(entry["prompts"]) for entry in ctx.engine_inputs)
        body = {
            "id": ctx.request_id,
            "model": ctx.model_name,
            **ctx.request.write(scores),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return orjson.dumps(body)


class Scoring:
    """Serves scores; only a model that vLLM can score with has one."""

    def __init__(self, assembly: Assembly, tasks: tuple[SupportedTask, ...]) -> None:
        self._assembly = assembly
        self._serving = _Serving(assembly, tasks)

    async def rank(self, body: bytes) -> Answer:
        """Answer a request to /v1/ranking; raises `EngineError`."""
        if not self._serving.reads_pairs:
            raise TaskNotSupportedError(
                "This route", "a reranker (a cross-encoder)", self._assembly.served[0]
            )
        data = self._assembly.read("POST /v1/ranking", body)
        compared = pairs.of_ranking(data)
        truncate = data.get("truncate") or "NONE"
        if truncate not in _TRUNCATE:
            raise InvalidRequestError(
                f"truncate must be one of {', '.join(_TRUNCATE)}.", "truncate"
            )
        self._serving.check_lengths(compared.queries)
        options: dict[str, Any] = {"model": data.get("model"), "use_activation": False}
        if truncate == "END":
            compared = Pairs(compared.queries, self._serving.shortened(compared.documents))
            options["truncate_prompt_tokens"] = -1

        def write(logits: list[float]) -> dict[str, Any]:
            rankings = [{"index": i, "logit": logits[i]} for i in _best_first(logits)]
            return {"rankings": rankings}

        return await self._ask(options, compared, write, keeps_query=True)

    async def rerank(self, body: bytes) -> Answer:
        """Answer a request to /v1/rerank; raises `EngineError`."""
        data = self._assembly.read("POST /v1/rerank", body)
        compared = pairs.of_rerank(data, takes_images=self._serving.takes_images)
        top_n = data.get("top_n")
        if top_n is not None and (type(top_n) is not int or top_n < 1):
            raise InvalidRequestError("top_n must be a whole number from 1 on.", "top_n")
        with_documents = data.get("return_documents")
        if not isinstance(with_documents, bool | None):
            raise InvalidRequestError("return_documents must be true or false.", "return_documents")

        def write(scores: list[float]) -> dict[str, Any]:
            results: list[dict[str, Any]] = []
            for i in _best_first(scores)[:top_n]:
                result: dict[str, Any] = {"index": i, "relevance_score": scores[i]}
                if with_documents is not False:
                    result["document"] = _document(compared.documents.items[i])
                results.append(result)
            return {"results": results}

        return await self._ask(data, compared, write)

    async def score(self, body: bytes) -> Answer:
        """Answer a request to /v1/score; raises `EngineError`."""
        data = self._assembly.read("POST /v1/score", body)
        compared = pairs.of_score(data, takes_images=self._serving.takes_images)

        def write(scores: list[float]) -> dict[str, Any]:
            return {
                "object": "list",
                "created": int(time.time()),
                "data": [
                    {"index": i, "object": "score", "score": score}
                    for i, score in enumerate(scores)
                ],
            }

        return await self._ask(data, compared, write)

    async def _ask(
        self,
        options: dict[str, Any],
        compared: Pairs,
        write: Callable[[list[float]], dict[str, Any]],
        *,
        keeps_query: bool = False,
    ) -> Answer:
        documents = compared.documents.items
        if self._serving.separates:
            # Given an empty second text, transformers leaves out the separator with it.
            documents = [document or _BLANK for document in documents]
        ours = {
            "data_1": compared.queries.items,
            "data_2": documents,
            "pairs": compared,
            "write": write,
            "keeps_query": keeps_query,
        }
        request = validate(_Request, options | ours)
        self._serving.check_limits(request)
        if request.truncate_prompt_tokens is None:
            self._serving.check_lengths(compared.queries)
            self._serving.check_lengths(compared.documents)
        place = compared.documents.place_of(0)
        return await self._assembly.answer(self._serving, request, place)


def _best_first(scores: list[float]) -> list[int]:
    """Indexes by falling score; those with the same one as they came."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])


def _document(item: Any) -> dict[str, Any]:
    """As vLLM writes it."""
    if isinstance(item, str):
        return {"text": item, "multi_modal": None}
    return {"text": None, "multi_modal": item["content"]}
