"""What the engine refuses or fails with, on one screen; `app.errors` gives each its status."""

# Adapters can be hundreds.
_MOST_LISTED = 20


class EngineError(Exception):
    """The server failed on this request.

    Base of what leaves this package; the message is safe to show to a client.
    """


class InvalidRequestError(EngineError):
    """The request can never be served as it is."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ContextLengthError(InvalidRequestError):
    """Prompt and answer together do not fit the model's context."""


class ModelNotFoundError(EngineError):
    """The request names a model that is not served here."""

    def __init__(self, name: str, served: tuple[str, ...]) -> None:
        listed = ", ".join(served[:_MOST_LISTED])
        if len(served) > _MOST_LISTED:
            listed += f" and {len(served) - _MOST_LISTED} more (GET /v1/models)"
        super().__init__(f"The model {name!r} does not exist. Served here: {listed}.")
        self.name, self.served = name, served


class ResponseNotFoundError(EngineError):
    """The request names a response that is not kept, or not any more."""

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"The response {response_id!r} does not exist: it was not stored, or it was forgotten."
        )
        self.param = "response_id"


class TaskNotSupportedError(EngineError):
    """The served model cannot do what the route is for."""

    def __init__(self, task: str, needs: str, model: str) -> None:
        super().__init__(f"{task} needs {needs}, and {model!r} is not one.")
        self.task, self.needs, self.model = task, needs, model


class AdaptersNotEnabledError(EngineError):
    """Clients may not load and unload adapters here."""

    def __init__(self) -> None:
        super().__init__(
            "Loading and unloading adapters by request is off: set NIM_PEFT_SOURCE and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 to enable it."
        )


class EngineNotReadyError(EngineError):
    """The engine is not up yet."""


class EngineStalledError(EngineError):
    """The engine makes no progress just now; it may recover."""


class EngineDrainingError(EngineError):
    """The server is on its way down and takes no new work, or ends what did not finish in time."""


class OverloadedError(EngineError):
    """The engine has as much work as it may queue."""

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ShareUsedError(EngineError):
    """Whoever has sent the request has as many waiting as the others leave room for."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "This server is busy, and your key has its share of the requests that wait already."
        )
        self.retry_after_s = retry_after_s


class DeadlineExceededError(EngineError):
    """The answer took longer than this server gives a request."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"The answer was not finished within {limit_s:g} s, the time this server gives a "
            "request: ask for fewer tokens, or try again when the server is less busy."
        )


class EngineDeadError(EngineError):
    """The engine ended; the process is about to follow."""


class GenerationFailedError(EngineError):
    """The engine failed on this request alone."""


class EngineStartError(Exception):
    """The engine could not be started. Never reaches a client."""


class EngineArgumentsError(Exception):
    """vLLM's own parser refuses the engine arguments. Never reaches a client."""
