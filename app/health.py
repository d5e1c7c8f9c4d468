"""What probes are told, whoever answers them."""

from dataclasses import dataclass
from typing import NotRequired

import orjson
from typing_extensions import TypedDict

from engine import EngineState, StateMachine
from engine.admission import Admission
from engine.inflight import Inflight
from profiles.progress import Progress

PROBES = frozenset({"/v1/health/live", "/v1/health/ready", "/v1/health/startup", "/ping"})
"""Routes that need no key; all others do. The last is SageMaker's, and elsewhere a 404."""

_STARTED = (EngineState.READY, EngineState.STALLED, EngineState.DRAINING)
_OK, _UNAVAILABLE = 200, 503
_RETRY_AFTER_S = "5"


class DownloadProgress(TypedDict):
    """How far the model's files are."""

    phase: str
    percent: float
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    bytes_per_second: int
    eta_seconds: int | None


class HealthBody(TypedDict):
    """NIM's body, and why it says so; `progress` while the model is downloaded."""

    object: str
    message: str
    status: str
    state: str
    state_seconds: float
    reason: str
    requests: int
    progress: NotRequired[DownloadProgress]


@dataclass(frozen=True, slots=True)
class Report:
    """One answer to one probe."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """The engine and the download, as probes see them: read, never awaited."""

    states: StateMachine
    inflight: Inflight
    admission: Admission
    progress: Progress

    def live(self) -> Report:
        """Whether a restart would help: only a dead engine says so."""
        return self._report("live", self.states.state is not EngineState.FAILED)

    def ready(self) -> Report:
        """Whether requests are taken now."""
        return self._report("ready", self.states.state is EngineState.READY)

    def startup(self) -> Report:
        """Whether the model has been loaded."""
        return self._report("started", self.states.state in _STARTED)

    def _report(self, claim: str, holds: bool) -> Report:
        states = self.states
        # NIM's body; scripts grep for the quoted word, so a refusal must not contain it.
        word = claim if holds else f"not_{claim}"
        body: HealthBody = {
            "object": "health.response",
            "message": word,
            "status": word,
            "state": states.state.name,
            "state_seconds": round(states.seconds, 3),
            "reason": states.reason,
            "requests": self.inflight.count + self.admission.waiting,
        }
        if states.state is EngineState.DOWNLOADING:
            body["progress"] = _download(self.progress)
        headers = {"content-type": "application/json"}
        if not holds:
            headers["retry-after"] = _RETRY_AFTER_S
        return Report(_OK if holds else _UNAVAILABLE, orjson.dumps(body), headers)


def _download(progress: Progress) -> DownloadProgress:
    """Figures only: what is fetched from where is nobody's business who may ask without a key."""
    reading = progress.read()
    return {
        "phase": reading.phase,
        "percent": reading.percent,
        "files_done": reading.files_done,
        "files_total": reading.files_total,
        "bytes_done": reading.bytes_done,
        "bytes_total": reading.bytes_total,
        "bytes_per_second": round(reading.bytes_per_s),
        "eta_seconds": None if reading.eta_s is None else round(reading.eta_s),
    }
