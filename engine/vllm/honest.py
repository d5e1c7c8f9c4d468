"""What vLLM's generating classes must not decide for themselves."""

from typing import Any, NoReturn

from vllm.entrypoints.generate.base.serving import GenerateBaseServing

from engine.errors import GenerationFailedError
from engine.vllm.own_ids import OwnIds
from engine.vllm.refusals import EndedEarlyError


class Honest(OwnIds, GenerateBaseServing):
    """Mixed into them, before them: failures are raised, and never look like an answer."""

    def create_streaming_error_response(
        self, message: str | Exception, *_: Any, **__: Any
    ) -> NoReturn:
        """Raise, where vLLM would write a frame of its own dialect and then a false [DONE]."""
        if isinstance(message, Exception):
            raise message
        raise EndedEarlyError(GenerationFailedError(message))

    def _convert_generation_error_to_streaming_response(self, e: Exception) -> NoReturn:
        raise e

    def _get_active_default_mm_loras(self, request: Any) -> None:
        """None; vLLM would answer on an adapter called "text" whoever sends parts of that type."""
