"""What the engine is started with: complete, validated, and free of vLLM's types."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.admission import AdmissionRules
from engine.limits import Limits
from engine.media.rules import MediaRules


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterOptions:
    """Where LoRA adapters come from, and how they change."""

    root: Path
    """Directory with a directory for each adapter."""

    refresh_interval_s: float | None
    """How often it is looked at; None: at the start only."""

    timeout_s: float
    """Longest time to load one."""

    has_api: bool
    """Whether clients may load and unload them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """One engine, as `app.compose` decided it."""

    model: str
    """Directory with the model's files."""

    served_names: tuple[str, ...]
    """Names clients may use for the model; the first is the one answers carry."""

    arguments: tuple[str, ...]
    """Engine arguments as vLLM's command line takes them, without model and names."""

    limits: Limits
    """How much one request may ask for."""

    admission: AdmissionRules = field(default_factory=AdmissionRules)
    """How many requests may wait."""

    adapters: AdapterOptions | None = None
    """None: LoRA is off."""

    visible_devices: str | None = None
    """CUDA_VISIBLE_DEVICES for the engine; None leaves the user's."""

    start_timeout_s: float = 3600.0
    """Longest time from LOADING to READY."""

    stall_after_s: float = 30.0
    """Silence of the engine after which it counts as stalled."""

    kill_after_s: float = 120.0
    """Time from the start of the stall to giving up."""

    utility_timeout_s: float = 60.0
    """Deadline of every utility call to the engine: vLLM's own never fail when the engine dies."""

    request_timeout_s: float | None = None
    """Longest time for one answer; None for any."""

    responses_bytes: int = 256 << 20
    """How much POST /v1/responses may keep for later."""

    responses_kept_s: float = 3600.0
    """How long it keeps it."""

    audio_bytes: int = 25 << 20
    """How large an audio file to transcribe may be."""

    audio_s: float = 600.0
    """How long it may last."""

    media: MediaRules = field(default_factory=MediaRules)
    """What requests may bring of images, audio and video, and where it is fetched from."""

    stop_timeout_s: float = 10.0
    """Longest wait for the engine's processes to end by themselves before they are killed."""
