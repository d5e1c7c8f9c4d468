"""POST /v1/load_lora_adapter and /v1/unload_lora_adapter: vLLM's requests and answers."""

from vllm.entrypoints.serve.lora.protocol import LoadLoRAAdapterRequest, UnloadLoRAAdapterRequest

from engine.adapters.library import Library
from engine.adapters.refusal import AdapterRefusedError
from engine.answer import Answer, Whole
from engine.errors import AdaptersNotEnabledError, InvalidRequestError, ModelNotFoundError
from engine.vllm.contract import Contract
from engine.vllm.exchange import parse_object, validate
from engine.vllm.unknown_fields import UnknownFields

CONTRACTS = {
    "POST /v1/load_lora_adapter": Contract(
        request=LoadLoRAAdapterRequest,
        texts=("text/plain",),
        errors=(InvalidRequestError, AdapterRefusedError, AdaptersNotEnabledError),
        example={"lora_name": "my-adapter", "lora_path": "my-adapter"},
    ),
    "POST /v1/unload_lora_adapter": Contract(
        request=UnloadLoRAAdapterRequest,
        texts=("text/plain",),
        errors=(InvalidRequestError, ModelNotFoundError, AdaptersNotEnabledError),
        example={"lora_name": "my-adapter"},
    ),
}


class DynamicAdapters:
    """Serves both routes, where clients may load adapters."""

    def __init__(self, library: Library | None, unknown: UnknownFields) -> None:
        """None: they may not."""
        self._library = library
        self._unknown = unknown

    async def load(self, body: bytes) -> Answer:
        """Answer a request to load one; raises `EngineError`."""
        library = self._allowed()
        data = parse_object(body)
        self._unknown.note("POST /v1/load_lora_adapter", data)
        request = validate(LoadLoRAAdapterRequest, data)
        name = request.lora_name
        await library.load(name, request.lora_path, in_place=request.load_inplace)
        return _text(f"Success: LoRA adapter '{name}' added successfully.")

    async def unload(self, body: bytes) -> Answer:
        """Answer a request to unload one; raises `EngineError`."""
        library = self._allowed()
        data = parse_object(body)
        self._unknown.note("POST /v1/unload_lora_adapter", data)
        name = validate(UnloadLoRAAdapterRequest, data).lora_name
        library.unload(name)
        return _text(f"Success: LoRA adapter '{name}' removed successfully.")

    def _allowed(self) -> Library:
        if self._library is None:
            raise AdaptersNotEnabledError
        return self._library


def _text(sentence: str) -> Answer:
    return Whole(sentence.encode(), "text/plain; charset=utf-8")
