"""The engine and its life: states, watchdog, drain, and vLLM behind one border (`engine.vllm`)."""

from engine.answer import Answer, Stream, Whole
from engine.config import AdapterOptions, EngineConfig
from engine.engine import Engine
from engine.errors import EngineArgumentsError, EngineError, EngineStartError
from engine.form import Form
from engine.guard import Failure, FailureKind
from engine.state import EngineState, StateMachine

__all__ = [
    "AdapterOptions",
    "Answer",
    "Engine",
    "EngineArgumentsError",
    "EngineConfig",
    "EngineError",
    "EngineStartError",
    "EngineState",
    "Failure",
    "FailureKind",
    "Form",
    "StateMachine",
    "Stream",
    "Whole",
]
