"""POST /v1/audio/transcriptions and /v1/audio/translations, on vLLM's classes for speech."""

import io
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent
from pydantic import ConfigDict
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.speech_to_text.transcription.protocol import (
    TranscriptionRequest,
    TranscriptionResponseVariant,
)
from vllm.entrypoints.speech_to_text.transcription.serving import OpenAIServingTranscription
from vllm.entrypoints.speech_to_text.translation.protocol import (
    TranslationRequest,
    TranslationResponseVariant,
)
from vllm.entrypoints.speech_to_text.translation.serving import OpenAIServingTranslation
from vllm.model_executor.models import SupportsTranscription

from engine.answer import Answer
from engine.config import EngineConfig
from engine.errors import InvalidRequestError
from engine.form import Form
from engine.schemas import JsonSchema
from engine.vllm.assembly import Assembly
from engine.vllm.contract import WORKS, Contract
from engine.vllm.exchange import validate
from engine.vllm.hearing import Hearing
from engine.vllm.transcripts import SUBTITLES, events, written

_FILE = "file"
_GRANULARITIES = "timestamp_granularities"
_VERBOSE, _DIARIZED = "verbose_json", "diarized_json"
# Each would change the answer, and vLLM would pass over it in silence.
_NOT_SUPPORTED = (
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "languages",
)
# vLLM asks the engine for two alternatives to each, and that gives 20.
_MOST_BEAMS = 10


class _Transcription(Hearing, OpenAIServingTranscription):
    pass


class _Translation(Hearing, OpenAIServingTranslation):
    pass


def _with_file(schema: JsonSchema) -> None:
    """The file, which is read before and is nothing that Pydantic could say."""
    schema["properties"][_FILE] = {"type": "string", "format": "binary"}
    schema.setdefault("required", []).append(_FILE)


_FORM = ConfigDict(extra="allow", allow_inf_nan=False, json_schema_extra=_with_file)


class TranscriptionForm(TranscriptionRequest):
    """vLLM's fields."""

    model_config = _FORM

    file: Any = None  # read before; vLLM's type is that of its web framework


class TranslationForm(TranslationRequest):
    """vLLM's fields."""

    model_config = _FORM

    file: Any = None  # as above


_ANSWER: dict[str, Any] = {
    "request_media_type": "multipart/form-data",
    "texts": ("text/plain", *(media_type for media_type, _ in SUBTITLES.values())),
    "event": TranscriptionTextDeltaEvent | TranscriptionTextDoneEvent,
    "last_data": "[DONE]",
    "errors": WORKS,
    "leaves_out": True,
}
CONTRACTS = {
    "POST /v1/audio/transcriptions": Contract(
        request=TranscriptionForm, response=TranscriptionResponseVariant, **_ANSWER
    ),
    "POST /v1/audio/translations": Contract(
        request=TranslationForm, response=TranslationResponseVariant, **_ANSWER
    ),
}
Request = TranscriptionForm | TranslationForm


class Speech:
    """Serves both routes; only a model that hears has one."""

    def __init__(self, assembly: Assembly, config: EngineConfig) -> None:
        self._assembly = assembly
        self.largest_file = config.audio_bytes
        """In bytes."""
        self._transcription = _Transcription(assembly.client, assembly.models, request_logger=None)
        self._translation = _Translation(assembly.client, assembly.models, request_logger=None)
        for serving in (self._transcription, self._translation):
            serving.longest_s = config.audio_s

    async def transcribe(self, form: Form) -> Answer:
        """Answer a request to /v1/audio/transcriptions; raises `EngineError`."""
        audio = _audio(form)
        fields = self._fields("POST /v1/audio/transcriptions", form)
        request = validate(TranscriptionForm, fields)
        return await self._answer(audio, request, self._transcription.create_transcription)

    async def translate(self, form: Form) -> Answer:
        """Answer a request to /v1/audio/translations; raises `EngineError`."""
        audio = _audio(form)
        fields = self._fields("POST /v1/audio/translations", form)
        request = validate(TranslationForm, fields)
        return await self._answer(audio, request, self._translation.create_translation)

    async def warm_up(self) -> None:
        """Hear a moment of silence, which also compiles what is compiled lazily."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(16_000)
            recording.writeframes(bytes(2 * 16_000))
        fields = (("max_completion_tokens", "1"),)
        await self.transcribe(Form(fields, {_FILE: buffer.getvalue()}))

    def _fields(self, route: str, form: Form) -> dict[str, Any]:
        fields = _fields(form)
        self._assembly.unknown.note(route, fields)
        return fields

    async def _answer(
        self,
        audio: bytes,
        request: Request,
        create: Callable[[bytes, Any], Awaitable[Any]],
    ) -> Answer:
        self._check(request)
        wanted: str = request.response_format
        if wanted in SUBTITLES:
            request.response_format = "verbose_json"
        if request.stream:
            request.stream_include_usage = True  # the last event has it

        async def ask(request: Request) -> Any:
            found = await create(audio, request)
            if isinstance(found, ErrorResponse):
                return found
            if isinstance(found, AsyncGenerator):
                return events(found)
            return written(found, wanted)

        return await self._assembly.answer(ask, request, "prompt")

    def _check(self, request: Request) -> None:
        """Refuse what vLLM refuses without naming the field, late, or not at all."""
        model = self._transcription.model_cls
        _check_format(request, model)
        for field in ("language", "to_language"):
            try:
                model.validate_language(getattr(request, field))
            except ValueError as error:
                raise InvalidRequestError(str(error), field) from None
        if request.stream_continuous_usage_stats:
            raise InvalidRequestError(
                "OpenAI's events have no usage but in the last.", "stream_continuous_usage_stats"
            )
        if request.stream and request.use_beam_search:
            raise InvalidRequestError("A search with beams cannot be streamed.", "stream")
        if not 1 <= request.n <= _MOST_BEAMS:
            raise InvalidRequestError(f"n must be from 1 to {_MOST_BEAMS}, got {request.n}.", "n")
        self._assembly.limits.check({"max_completion_tokens": request.max_completion_tokens})
        if request.max_completion_tokens is not None and request.max_completion_tokens < 1:
            raise InvalidRequestError(
                "max_completion_tokens must be at least 1.", "max_completion_tokens"
            )


def _check_format(request: Request, model: type[SupportsTranscription]) -> None:
    wanted = request.response_format
    times = wanted == _VERBOSE or wanted in SUBTITLES
    if request.stream and (times or wanted == _DIARIZED):
        raise InvalidRequestError(
            f"{wanted} cannot be streamed; json and text can.", "response_format"
        )
    if times and not model.supports_segment_timestamp:
        raise _unable(wanted, "knows when something was said")
    if wanted == _DIARIZED and not model.supports_diarized_transcription:
        raise _unable(wanted, "tells speakers apart")


def _fields(form: Form) -> dict[str, Any]:
    """The form's fields as vLLM's request models name them; an empty one was not given."""
    data: dict[str, Any] = {}
    for name, value in form.fields:
        if not value:
            continue
        field, bracket, _ = name.partition("[")
        if field in _NOT_SUPPORTED or (field == "chunking_strategy" and value != "auto"):
            raise InvalidRequestError(f"{name} is not supported.", name)
        if field == _GRANULARITIES:
            if value != "segment":
                raise InvalidRequestError(f"{name} can only be segment.", name)
            continue  # verbose_json has them anyway
        if name in data and not bracket:
            raise InvalidRequestError(f"{name} is given twice.", name)
        data[name] = value
    return data


def _audio(form: Form) -> bytes:
    audio = form.files.get(_FILE)
    if audio is None or any(name == _FILE for name, _ in form.fields):
        raise InvalidRequestError("file is missing: the audio, sent as a file with a name.", _FILE)
    if not audio:
        raise InvalidRequestError("file is empty.", _FILE)
    return audio


def _unable(response_format: str, ability: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{response_format} needs a model that {ability}, and this one does not.",
        "response_format",
    )
