"""Our metrics, all in one file, in the registry that vLLM uses too."""

from prometheus_client import Gauge

from engine import EngineState

_STATE = Gauge("unigate_state", "State of the process, by its number in ARCHITECTURE.md.")


def observe_state(state: EngineState) -> None:
    """Export the state the process is in."""
    _STATE.set(state)


_CREDENTIAL_VALID = Gauge(
    "unigate_credential_valid",
    "Whether the source accepts its credentials: 1 accepted, or none needed; 0 refused or expired. "
    "Unchanged while the source is out of reach.",
)
_CREDENTIAL_EXPIRES = Gauge(
    "unigate_credential_expiry_timestamp_seconds",
    "When the source's credentials end, in seconds since 1970; 0 where that is not known.",
)


def observe_credential(is_valid: bool, expires_at_s: float) -> None:
    """Export what the source says to its credentials."""
    _CREDENTIAL_VALID.set(is_valid)
    _CREDENTIAL_EXPIRES.set(expires_at_s)
