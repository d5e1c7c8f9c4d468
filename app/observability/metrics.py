"""Our metrics, all in one file, in the registry that vLLM uses too."""

from prometheus_client import Gauge

from engine import EngineState

_STATE = Gauge("unigate_state", "State of the process, by its number in ARCHITECTURE.md.")


def observe_state(state: EngineState) -> None:
    """Export the state the process is in."""
    _STATE.set(state)
