"""Our metrics, all in one file, in the registry that vLLM uses too."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from engine import EngineState
from engine.account import Spent
from engine.adapters.refusal import Reason
from engine.admission import Admission
from engine.noted_metrics import NotedCounter

if TYPE_CHECKING:
    from profiles.hardware.usage import GpuUsage

_STATE = Gauge("unigate_state", "State of the process, by its number in ARCHITECTURE.md.")


_STALLS = Counter("unigate_stalls_total", "How often the engine has stopped making progress.")
_PROFILE = Gauge(
    "unigate_profile_info", "The profile that is served: always 1.", ["profile", "name", "model"]
)


def observe_state(state: EngineState) -> None:
    """Export the state the process is in."""
    _STATE.set(state)
    if state is EngineState.STALLED:
        _STALLS.inc()


def observe_profile(profile_id: str, name: str, model: str) -> None:
    """Export what was chosen."""
    _PROFILE.labels(profile_id, name, model).set(1)


_LOOP_LAG = Histogram(
    "unigate_event_loop_lag_seconds",
    "How long the event loop kept a call waiting, ten times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


def observe_loop_lag(lag_s: float) -> None:
    """Export how late the loop was once."""
    _LOOP_LAG.observe(lag_s)


_TASKS = Gauge("unigate_event_loop_tasks", "Tasks of the event loop: requests and what serves all.")


def observe_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Export how many there are, whenever somebody asks."""
    _TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))


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


_CERTIFICATE_EXPIRES = Gauge(
    "unigate_tls_certificate_expiry_timestamp_seconds",
    "When the server's certificate ends, in seconds since 1970; 0 where nothing is encrypted.",
)
_TLS_FILES_VALID = Gauge(
    "unigate_tls_files_valid",
    "Whether key and certificates on disk are those in use: 1 they are, or nothing is encrypted; "
    "0 new ones cannot be used, and the log says why.",
)
_TLS_FILES_VALID.set(1)


def observe_certificate(expires_at_s: float) -> None:
    """Export the end of the certificate that was loaded last."""
    _CERTIFICATE_EXPIRES.set(expires_at_s)


def observe_tls_files(are_valid: bool) -> None:
    """Export what became of the files that were looked at last."""
    _TLS_FILES_VALID.set(are_valid)


_KEYS_FILE_VALID = Gauge(
    "unigate_keys_file_valid",
    "Whether the keys on disk are those in use: 1 they are, or there are none; 0 the file cannot "
    "be used, and the log says why.",
)
_KEYS_FILE_VALID.set(1)
_KEY_REQUESTS = Counter("unigate_key_requests_total", "Requests that were let in, by key.", ["key"])
_KEY_TOKENS = Counter(
    "unigate_key_tokens_total", "Tokens of prompts and of answers, by key.", ["key", "kind"]
)


def observe_keys_file(is_valid: bool) -> None:
    """Export what became of the file that was looked at last."""
    _KEYS_FILE_VALID.set(is_valid)


def observe_key(name: str, spent: Spent) -> None:
    """Count one request of a key; names are the file's, so they are few."""
    _KEY_REQUESTS.labels(name).inc()
    _KEY_TOKENS.labels(name, "prompt").inc(spent.prompt_tokens)
    _KEY_TOKENS.labels(name, "output").inc(spent.output_tokens)


# By NIM 1's names, and the temperature. Energy is a gauge, because the name of a counter would end
# in `_total`. By the field of `GpuUsage` that each has.
_GPUS = {
    field: Gauge(name, text, ["gpu", "uuid"])
    for field, name, text in (
        ("utilization", "gpu_utilization", "Share of time in which the GPU computed, 0 to 1."),
        ("memory_used_bytes", "gpu_memory_used_bytes", "Memory in use, by whomever."),
        ("memory_total_bytes", "gpu_memory_total_bytes", "Memory that CUDA shows."),
        ("power_watts", "gpu_power_usage_watts", "Power that is drawn."),
        ("power_limit_watts", "gpu_power_limit_watts", "Power that may be drawn."),
        (
            "energy_joules",
            "gpu_total_energy_consumption_joules",
            "Energy that was used since the driver was loaded.",
        ),
        ("temperature_celsius", "gpu_temperature_celsius", "Temperature of the GPU."),
    )
}


def observe_gpus(usages: "Sequence[GpuUsage]") -> None:
    """Export these figures and no others: what is not known now has no sample."""
    for field, gauge in _GPUS.items():
        gauge.clear()
        for usage in usages:
            value = getattr(usage, field)
            if value is not None:
                gauge.labels(str(usage.number), usage.uuid).set(value)


_ADAPTERS = Gauge("unigate_adapters", "LoRA adapters that requests may name.")
_ADAPTERS_IN_ENGINE = Gauge(
    "unigate_adapters_in_engine",
    "LoRA adapters in the engine's memory, as of the last that was loaded or removed.",
)
_ADAPTER_REFUSALS = Counter(
    "unigate_adapter_refusals_total", "LoRA adapters that were not loaded, by reason.", ["reason"]
)
for _reason in Reason:
    _ADAPTER_REFUSALS.labels(_reason.value)


_WAITING = Gauge("unigate_requests_waiting", "Requests that wait until the engine has room.")
_INSIDE = Gauge(
    "unigate_requests_inside", "Requests that the engine works on, or that are made ready for it."
)
_ERRORS = Counter(
    "unigate_errors_total", "Requests that were answered with an error, by its code.", ["code"]
)


def observe_admission(admission: Admission) -> None:
    """Export how many are in and how many wait, whenever somebody asks."""
    _WAITING.set_function(lambda: admission.waiting)
    _INSIDE.set_function(lambda: admission.inside)


_OUTCOMES = NotedCounter(
    "unigate_requests_total",
    "Requests that have ended: answered; failed, with an error; abandoned by their clients.",
    ["outcome"],
)
_ANSWERED, _FAILED, _ABANDONED = map(_OUTCOMES.labels, ("answered", "failed", "abandoned"))


def observe_outcome(code: str | None, *, complete: bool) -> None:
    """Count a request that has ended; `code` is that of the error it was answered with."""
    if code is not None:
        observe_error(code)
    (_ABANDONED if not complete else _FAILED if code else _ANSWERED).inc()


def observe_error(code: str) -> None:
    """Count an error; the codes are ours, so they are few."""
    _ERRORS.labels(code).inc()


_UNKNOWN_FIELDS = Counter(
    "unigate_unknown_fields_total",
    "Fields of requests that are ignored because the route does not know them.",
    ["route"],
)
_ROUTINE_REQUESTS = NotedCounter(
    "unigate_routine_requests_total",
    "Requests that were answered the short way, because their like had been answered before.",
)


class EngineMetrics:
    """What the engine has to tell."""

    def adapters_changed(self, served: int, in_engine: int) -> None:
        """Export how many requests may name, and how many the engine has in memory."""
        _ADAPTERS.set(served)
        _ADAPTERS_IN_ENGINE.set(in_engine)

    def adapter_refused(self, reason: Reason) -> None:
        """Count one that was not loaded."""
        _ADAPTER_REFUSALS.labels(reason.value).inc()

    def fields_unknown(self, route: str, count: int) -> None:
        """Count those of one request; never by name, for clients choose the names."""
        _UNKNOWN_FIELDS.labels(route).inc(count)

    def routine_followed(self) -> None:
        """Count one."""
        _ROUTINE_REQUESTS.inc()
