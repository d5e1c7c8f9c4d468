"""All that a loaded model can answer: bytes of a request in, an `Answer` out.

vLLM renders, samples, parses tools and reasoning, and counts; `exchange` has what is ours, and the
files beside it have the routes. A part is there only if the model can do it.
"""

import argparse
import time
from pathlib import Path
from typing import TypeVar

from vllm.entrypoints.pooling.utils import enable_scoring_api
from vllm.entrypoints.serve.utils.fingerprint import set_default_fingerprint_mode
from vllm.tasks import SupportedTask

from engine.adapters.library import Library
from engine.answer import Answer
from engine.config import EngineConfig
from engine.errors import ModelNotFoundError, TaskNotSupportedError
from engine.observer import Observer
from engine.schemas import Schemas
from engine.vllm import invocations
from engine.vllm.adapters import LoadedAdapters
from engine.vllm.assembly import Assembly
from engine.vllm.client import EngineClient
from engine.vllm.completions import Completions
from engine.vllm.contract import schemas_of
from engine.vllm.documentation import CONTRACTS, SWAGGER_UI
from engine.vllm.dynamic_adapters import DynamicAdapters
from engine.vllm.embeddings import Embeddings
from engine.vllm.exchange import parse_object
from engine.vllm.inspection import Inspection
from engine.vllm.messages import Messages
from engine.vllm.model_card import ModelCard
from engine.vllm.responses import Responses, Track
from engine.vllm.scoring import Scoring
from engine.vllm.speech import Speech
from engine.vllm.unknown_fields import UnknownFields

Part = TypeVar("Part")


class Serving:
    """The parts of a model. Building them takes a while, so do it in a thread."""

    def __init__(
        self,
        client: EngineClient,
        args: argparse.Namespace,
        tasks: tuple[SupportedTask, ...],
        config: EngineConfig,
        track: Track,
        *,
        adapters: LoadedAdapters,
        library: Library | None,
        observer: Observer,
    ) -> None:
        """`library` has the adapters that requests may load; None: they may not."""
        self._created = int(time.time())
        self._max_model_len = client.model_config.max_model_len
        set_default_fingerprint_mode(args.fingerprint_mode, args.fingerprint_value)
        unknown = UnknownFields(CONTRACTS, observer.fields_unknown)
        assembly = self._assembly = Assembly.of(client, args, config, adapters, unknown)
        self.inspection = Inspection(assembly)
        self.dynamic_adapters = DynamicAdapters(library, unknown)
        self._completions: Completions | None = None
        self._messages: Messages | None = None
        self._responses: Responses | None = None
        if "generate" in tasks:
            self._completions = Completions(assembly, observer.routine_followed)
            self._messages = Messages(assembly)
            self._responses = Responses(assembly, config, track)
        self._speech: Speech | None = None
        if "transcription" in tasks:
            self._speech = Speech(assembly, config)
        self._embeddings: Embeddings | None = None
        if client.model_config.get_pooling_task(tasks) == "embed":
            self._embeddings = Embeddings(assembly)
        self._scoring: Scoring | None = None
        if enable_scoring_api(tasks, client.model_config):
            self._scoring = Scoring(assembly, tasks)

    @property
    def generates_text(self) -> bool:
        """Whether the model is one that generates at all."""
        return self._completions is not None

    @property
    def embeds(self) -> bool:
        """Whether the model makes vectors of texts."""
        return self._embeddings is not None

    @property
    def scores(self) -> bool:
        """Whether the model compares texts."""
        return self._scoring is not None

    @property
    def hears(self) -> bool:
        """Whether the model writes down what is said."""
        return self._speech is not None

    @property
    def completions(self) -> Completions:
        """What generates text in OpenAI's dialect; raises `TaskNotSupportedError`."""
        return self._able(self._completions, "a model that generates text")

    @property
    def messages(self) -> Messages:
        """What generates text in Anthropic's dialect; raises `TaskNotSupportedError`."""
        return self._able(self._messages, "a model that generates text")

    @property
    def responses(self) -> Responses:
        """What generates responses that are kept; raises `TaskNotSupportedError`."""
        return self._able(self._responses, "a model that generates text")

    @property
    def embeddings(self) -> Embeddings:
        """What makes vectors; raises `TaskNotSupportedError`."""
        return self._able(self._embeddings, "an embedding model")

    @property
    def scoring(self) -> Scoring:
        """What compares texts; raises `TaskNotSupportedError`."""
        return self._able(self._scoring, "a reranker or an embedding model")

    @property
    def speech(self) -> Speech:
        """What writes down what is said; raises `TaskNotSupportedError`."""
        return self._able(self._speech, "a model that transcribes speech")

    async def invoke(self, body: bytes) -> Answer:
        """Answer a request to /invocations as the route would that it is for."""
        match invocations.route_of(parse_object(body)):
            case invocations.TEXT:
                return await self.completions.completion(body)
            case invocations.EMBEDDINGS:
                return await self.embeddings.embed(body)
            case invocations.RANKING:
                return await self.scoring.rank(body)
            case invocations.RERANK:
                return await self.scoring.rerank(body)
            case invocations.SCORE:
                return await self.scoring.score(body)
            case _ if self.embeds:  # such a model takes chats, too
                return await self.embeddings.embed(body)
            case _:
                return await self.completions.chat_completion(body)

    def _able(self, part: Part | None, needs: str) -> Part:
        if part is None:
            raise TaskNotSupportedError("This route", needs, self._assembly.base_names[0])
        return part

    def schemas(self) -> Schemas:
        """What the routes take and give; takes some seconds, so ask in a thread."""
        return schemas_of(CONTRACTS, self._assembly.limits, self._assembly.base_names[0])

    @property
    def swagger_ui(self) -> Path:
        """The directory with Swagger UI's files."""
        return SWAGGER_UI

    def models(self) -> list[ModelCard]:
        """The served names as entries of GET /v1/models, adapters behind the model."""
        return [self._card(name) for name in self._assembly.served]

    def model(self, name: str) -> ModelCard:
        """One entry of `models`; raises `ModelNotFoundError`."""
        if name not in self._assembly.served:
            raise ModelNotFoundError(name, self._assembly.served)
        return self._card(name)

    def _card(self, name: str) -> ModelCard:
        adapters, base = self._assembly.adapters, self._assembly.base_names[0]
        is_adapter = name in adapters
        return {
            "id": name,
            "object": "model",
            "created": adapters.created(name) if is_adapter else self._created,
            "owned_by": "unigate",
            "root": base if is_adapter else name,
            "parent": base if is_adapter else None,
            "max_model_len": self._max_model_len,
        }
