"""vLLM's knobs that exist only as environment variables."""

import json
import logging.config
import os
from pathlib import Path

from engine.config import EngineConfig

MEDIA_CONNECTOR = "unigate"
"""The name by which vLLM finds what loads media (`engine.vllm.media`)."""

_ANY_NUMBER = 1_000_000

_LOGGING = "VLLM_LOGGING_CONFIG_PATH"

# Who compiles, and where each keeps it.
_COMPILED = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "CUDA_CACHE_PATH": "cuda",
}


def prepare(scratch: Path, log_level: str, compiled: Path) -> None:
    """Set what vLLM reads when it is imported.

    `scratch` is a directory of this process alone; `compiled` one that others may share.
    """
    for name, part in _COMPILED.items():
        _default(name, str(compiled / part))
    _default("VLLM_LOGGING_LEVEL", log_level)
    _default("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    # Sockets between the processes: not where other users may look, and removed at the end.
    _default("VLLM_RPC_BASE_PATH", str(scratch))
    # Fork is vLLM's library default and unsafe here: this process has threads by now.
    _default("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    # Profiles count GPUs as the driver does; CUDA's own order puts the fastest first.
    _default("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    # Adapters are ours to load; vLLM's switch would make it keep a lock for each unknown name.
    os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "0"
    # Not a default: another one would load whatever a client names, from wherever it is.
    os.environ["VLLM_MEDIA_CONNECTOR"] = MEDIA_CONNECTOR
    # Its threads would have to be woken for each text, on cores that the engine keeps busy.
    _default("TOKENIZERS_PARALLELISM", "false")
    # Weights, keys and values of a CPU's engine: `engine.huge_pages` is for what is small.
    _default("THP_MEM_ALLOC_ENABLE", "1")
    # Requests are held to `engine.limits`. vLLM's own limits are lower, are read when it is
    # imported, and tell clients to set its variables.
    for name in ("VLLM_MAX_COMPLETION_PROMPTS", "VLLM_MAX_STOP_STRINGS"):
        _default(name, str(_ANY_NUMBER))
    # Nothing is reported to anyone unless the user asks for it.
    _default("VLLM_NO_USAGE_STATS", "1")


def write_log_as(formatter: str, scratch: Path) -> None:
    """Have vLLM's lines written by a class of this dotted name, in all of its processes.

    So that there are no others, Python's warnings and libtorch's are left out.
    """
    _default("PYTHONWARNINGS", "ignore")
    _default("TORCH_CPP_LOG_LEVEL", "ERROR")
    level, stream = os.environ["VLLM_LOGGING_LEVEL"], os.environ["VLLM_LOGGING_STREAM"]
    file = scratch / "logging.json"
    file.write_text(
        json.dumps(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {"lines": {"()": formatter}},
                "handlers": {
                    "vllm": {
                        "class": "logging.StreamHandler",
                        "formatter": "lines",
                        "stream": stream,
                    }
                },
                "loggers": {"vllm": {"handlers": ["vllm"], "level": level, "propagate": False}},
                "root": {"handlers": ["vllm"], "level": "WARNING"},
            }
        )
    )
    _default(_LOGGING, str(file))


def configure_logging() -> None:
    """Do so before vLLM does: it says something while it is imported."""
    if file := os.environ.get(_LOGGING):
        logging.config.dictConfig(json.loads(Path(file).read_text()))


def prepare_for(config: EngineConfig) -> None:
    """Set what depends on the model and the machine; must run before the engine starts."""
    from vllm.platforms import current_platform  # noqa: PLC0415  # it is imported by now

    if current_platform.is_cpu():
        # What vLLM has compiled ahead of time for a CPU it cannot load again ("no attribute
        # 'finalize_loading'"), so that it compiles at each start; torch's own cache it can.
        _default("VLLM_USE_AOT_COMPILE", "0")
    # vLLM's own 600 s are too short for large models; ours is the deadline that counts.
    _default("VLLM_ENGINE_READY_TIMEOUT_S", str(int(config.start_timeout_s) + 60))
    if config.visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = config.visible_devices


def _default(name: str, value: str) -> None:
    """A user's own value stays."""
    os.environ.setdefault(name, value)
