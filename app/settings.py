"""Every setting once: names, type, bound, default and sentence; the only reader of the environment.

The table in README.md and the test that compares it are made from `Settings`.
"""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from app.adapter_settings import AdapterSettings
from app.limit_settings import LimitSettings
from app.listener_settings import ListenerSettings
from app.log_settings import LogSettings
from app.media_settings import MediaSettings
from app.nim_variables import NOT_SUPPORTED, SET_BY_SAGEMAKER, TOLERATED
from app.overload_settings import OverloadSettings
from app.setting import setting as _setting
from app.trace_settings import TraceSettings
from profiles.access import Access

_PREFIXES = ("NIM_", "UNIGATE_")
# https://nginx.org/en/docs/syntax.html
_OF_ADAPTERS = (
    "NIM_PEFT_REFRESH_INTERVAL", "NIM_PEFT_API_TIMEOUT_SECS", "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
    "NIM_MAX_LORA_RANK", "NIM_MAX_GPU_LORAS", "NIM_MAX_CPU_LORAS",
)  # fmt: skip


class BadSettingsError(Exception):
    """A setting that cannot be used; the message says which and what to do."""


def _home() -> Path:
    """The user's directory for caches."""
    # A container's arbitrary user may have no home.
    home = os.environ.get("HOME") or tempfile.gettempdir()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home) / ".cache")


def _default_cache() -> Path:
    return _home() / "unigate"


class Settings(
    AdapterSettings,
    LimitSettings,
    ListenerSettings,
    LogSettings,
    MediaSettings,
    OverloadSettings,
    TraceSettings,
):
    """What the process is told through its environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model_path: str | None = _setting(
        None, "NIM_MODEL_PATH", "NIM_MODEL_NAME", "NIM_FT_MODEL", "NIM_CUSTOM_MODEL",
        description="The model: a directory, or `hf://`, `ngc://`, `modelscope://`, `s3://`, "
        "`gs://` (README has the forms).",
    )  # fmt: skip
    model_profile: str | None = _setting(
        None, "NIM_MODEL_PROFILE",
        description="The profile to serve: an id or a name out of `list-model-profiles`; "
        "without it, or with `default`, the best that fits.",
    )  # fmt: skip
    expect_profile: str | None = _setting(
        None, "UNIGATE_EXPECT_PROFILE",
        description="The profile that the choice must arrive at; any other ends the start.",
    )  # fmt: skip
    manifest_path: Path | None = _setting(
        None, "NIM_MANIFEST_PATH",
        description="A manifest of profiles (NIM's, version 1 or 2) to choose from.",
    )  # fmt: skip
    served_model_name: str | None = _setting(
        None, "NIM_SERVED_MODEL_NAME",
        description="Names clients use for the model, separated by commas; "
        "without it, the last part of the model's path or the repository's name.",
    )  # fmt: skip
    max_model_len: int | None = _setting(
        None, "NIM_MAX_MODEL_LEN", gt=0,
        description="Longest context in tokens; the model's own without it.",
    )  # fmt: skip
    tensor_parallel_size: int | None = _setting(
        None, "NIM_TENSOR_PARALLEL_SIZE", gt=0, description="GPUs each layer is split over."
    )
    pipeline_parallel_size: int | None = _setting(
        None, "NIM_PIPELINE_PARALLEL_SIZE", gt=0, description="Groups the layers are split over."
    )
    trust_custom_code: bool = _setting(
        False, "NIM_TRUST_CUSTOM_CODE", "NIM_FORCE_TRUST_REMOTE_CODE",
        description="Run Python code that comes with the model. Only for models you trust.",
    )  # fmt: skip
    disable_cuda_graph: bool = _setting(
        False, "NIM_DISABLE_CUDA_GRAPH", description="Run eagerly, without CUDA graphs."
    )
    enable_auto_tool_choice: bool | None = _setting(
        None, "NIM_ENABLE_AUTO_TOOL_CHOICE",
        description="Whether the model decides to call tools; on where its chat template is one "
        "whose calls can be read.",
    )  # fmt: skip
    tool_call_parser: str | None = _setting(
        None, "NIM_TOOL_CALL_PARSER",
        description="Parser of tool calls, by vLLM's name; chosen by the chat template without it.",
    )  # fmt: skip
    tool_parser_plugin: str | None = _setting(
        None, "NIM_TOOL_PARSER_PLUGIN",
        description="File with a parser of your own, in Python; a bare name may be in the model's "
        "directory.",
    )  # fmt: skip
    chat_template: str | None = _setting(
        None, "NIM_CHAT_TEMPLATE",
        description="File with a chat template, or its text; a bare name may be in the model's "
        "directory.",
    )  # fmt: skip
    passthrough_args: str = _setting(
        "", "NIM_PASSTHROUGH_ARGS",
        description="Engine arguments, written as for `vllm serve`; arguments behind `serve` win.",
    )  # fmt: skip
    cache_path: Path = Field(
        default_factory=_default_cache, json_schema_extra={"names": ["NIM_CACHE_PATH"]},
        description="Where downloaded models are kept; `~/.cache/unigate` without it.",
    )  # fmt: skip
    runtime_cache_path: Path | None = _setting(
        None, "NIM_RUNTIME_CACHE_PATH",
        description="For what the engine compiles; `runtime` in the former without it.",
    )  # fmt: skip
    disable_model_download: bool = _setting(
        False, "NIM_DISABLE_MODEL_DOWNLOAD", "HF_HUB_OFFLINE",
        description="Use only what the cache holds.",
    )  # fmt: skip
    cache_probe_timeout_s: float = _setting(
        60.0, "NIM_CACHE_PROBE_TIMEOUT", gt=0,
        description="Longest time for the cache's file system to answer at the start.",
    )  # fmt: skip
    hf_token: SecretStr | None = _setting(
        None, "HF_TOKEN", description="Token for gated or private models of a Hugging Face hub."
    )
    hf_endpoint: str | None = _setting(
        None, "HF_ENDPOINT", description="Another hub than huggingface.co."
    )
    hf_home: Path | None = _setting(
        None, "HF_HOME",
        description="Where other Hugging Face tools keep models, in `hub`; one that is whole in "
        "there is used.",
    )  # fmt: skip
    hf_hub_cache: Path | None = _setting(
        None, "HF_HUB_CACHE", description="That directory itself, where it is elsewhere."
    )
    ngc_key: SecretStr | None = _setting(
        None, "NGC_CLI_API_KEY", "NGC_API_KEY", description="Key for models of NVIDIA's registry."
    )
    modelscope_token: SecretStr | None = _setting(
        None, "MODELSCOPE_API_TOKEN", description="Token for private models of ModelScope."
    )
    repository_override: str | None = _setting(
        None, "NIM_REPOSITORY_OVERRIDE",
        description="A mirror that stands in for every source: `https://host:port/`, "
        "`s3://bucket/`, `gs://bucket/` or `jfrog://host:port/`.",
    )  # fmt: skip
    https_credential: SecretStr | None = _setting(
        None, "NIM_HTTPS_CREDENTIAL", description="The Authorization header for an `https` mirror."
    )
    credential_check_interval_s: float = _setting(
        3600.0, "UNIGATE_CREDENTIAL_CHECK_INTERVAL_S", gt=0,
        description="How often the source's credentials are checked while serving.",
    )  # fmt: skip
    start_timeout_s: float = _setting(
        3600.0, "UNIGATE_START_TIMEOUT_S", gt=0,
        description="Longest time for the engine to load the model and produce a token.",
    )  # fmt: skip
    stall_after_s: float = _setting(
        30.0, "UNIGATE_STALL_AFTER_S", gt=0,
        description="Silence of the engine after which the server is not ready.",
    )  # fmt: skip
    kill_after_s: float = _setting(
        120.0, "UNIGATE_KILL_AFTER_S", gt=0,
        description="Time from the start of a stall after which the process ends.",
    )  # fmt: skip
    request_timeout_s: float | None = _setting(
        None, "UNIGATE_REQUEST_TIMEOUT_S", gt=0,
        description="Longest time from a request's body to the end of its answer; then the engine "
        "stops working on it. No limit without it.",
    )  # fmt: skip
    drain_delay_s: float = _setting(
        5.0, "UNIGATE_DRAIN_DELAY_S", ge=0,
        description="Time after SIGTERM for load balancers to take the server out of service.",
    )  # fmt: skip
    drain_timeout_s: float = _setting(
        30.0, "UNIGATE_DRAIN_TIMEOUT_S", ge=0,
        description="Longest wait, after that delay, for running requests to finish.",
    )  # fmt: skip
    termination_log: Path = _setting(
        Path("/dev/termination-log"), "UNIGATE_TERMINATION_LOG",
        description="File that gets the cause of a failure, if it exists; Kubernetes shows it.",
    )  # fmt: skip
    core_dumps: bool = _setting(
        False, "UNIGATE_CORE_DUMPS",
        description="Leave core dumps, as far as the system allows; prompts and keys are in them.",
    )  # fmt: skip
    strict_env: bool = _setting(
        False, "UNIGATE_STRICT_ENV", description="Unknown NIM_* and UNIGATE_* variables are errors."
    )

    @property
    def hub_caches(self) -> tuple[Path, ...]:
        """Where other tools, and older versions of us, keep models of a hub."""
        named = (self.hf_hub_cache, self.hf_home and self.hf_home / "hub")
        usual = (_home() / "huggingface" / "hub", self.cache_path / "huggingface" / "hub")
        return tuple(path for path in (*named, *usual) if path is not None)

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of `served_model_name`, none if it is not set."""
        names = (self.served_model_name or "").split(",")
        return tuple(name.strip() for name in names if name.strip())


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings, where each that was set came from, and what to warn about."""

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = field(default=())
    # AWS_*, GOOGLE_* and proxies have a meaning to every client of an object store, and no other
    # name with us.
    access: Access = field(default_factory=Access)
    # CUDA's own; here empty means "no GPU", which is not the same as not set.
    visible_devices: str | None = None


def termination_log(environment: Mapping[str, str] | None = None) -> Path:
    """Where the cause of a failure goes, even if it is the settings that fail."""
    environment = os.environ if environment is None else environment
    default: Path = Settings.model_fields["termination_log"].default
    return Path(environment.get(names_of("termination_log")[0]) or default)


def wants_jsonl(environment: Mapping[str, str] | None = None) -> bool:
    """How to write what is wrong with the settings, before they are read."""
    environment = os.environ if environment is None else environment
    (name,) = names_of("jsonl_logging")
    try:
        return LogSettings.model_validate(
            {"jsonl_logging": environment.get(name) or False}
        ).jsonl_logging
    except ValidationError:
        return False


def names_of(setting: str) -> list[str]:
    """The variables of a setting, first the one that wins."""
    extra = Settings.model_fields[setting].json_schema_extra
    assert isinstance(extra, dict)  # _setting has put it there
    return list(extra["names"])  # type: ignore[arg-type]  # a list of strings, as above


def read(environment: Mapping[str, str] | None = None) -> Resolved:
    """Settings from the environment.

    Raises:
        BadSettingsError: naming each variable that is wrong, never its value.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for setting in Settings.model_fields:
        for name in names_of(setting):
            # An empty variable is how a container's user switches one off.
            if environment.get(name, "") != "":
                values[setting], sources[setting] = environment[name], name
                break
    if "sagemaker_mode" not in values:
        signs = [name for name in SET_BY_SAGEMAKER if environment.get(name, "") != ""]
        if signs:
            values["sagemaker_mode"], sources["sagemaker_mode"] = "1", signs[0]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults = [_sentence(fault, sources) for fault in error.errors(include_input=False)]
        raise BadSettingsError("; ".join(faults)) from None
    unknown, warnings = _unused(environment)
    if settings.strict_env and unknown:
        raise BadSettingsError("; ".join(unknown))
    return Resolved(
        settings,
        sources,
        (*unknown, *warnings),
        Access.from_environment(environment),
        environment.get("CUDA_VISIBLE_DEVICES"),
    )


def _sentence(fault: ErrorDetails, sources: Mapping[str, str]) -> str:
    """What is wrong with a variable; or with several, which the message names."""
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    setting = str(fault["loc"][0])
    return f"{sources.get(setting, setting)}: {message}"


def _unused(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Sentences about variables of ours that do nothing: unknown ones, and known ones."""
    known = {name for setting in Settings.model_fields for name in names_of(setting)}
    everything = sorted(known | NOT_SUPPORTED.keys() | TOLERATED)
    unknown, ineffective = [], []
    for name in sorted(environment):
        if name in NOT_SUPPORTED:
            ineffective.append(f"{name} has no effect: {NOT_SUPPORTED[name]}")
        if not name.startswith(_PREFIXES) or name in known | TOLERATED | NOT_SUPPORTED.keys():
            continue
        near = difflib.get_close_matches(name, everything, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        unknown.append(f"{name} is not a setting of unigate{hint}")
    if environment.get("NIM_SSL_MODE", "").upper() in ("", "DISABLED"):
        idle = [name for name in environment if name.startswith("NIM_SSL_") and environment[name]]
        idle = [name for name in sorted(idle) if name != "NIM_SSL_MODE"]
        ineffective += [f"{name} has no effect without NIM_SSL_MODE" for name in idle]
    if not environment.get("NIM_PEFT_SOURCE"):
        idle = [name for name in _OF_ADAPTERS if environment.get(name)]
        ineffective += [f"{name} has no effect without NIM_PEFT_SOURCE" for name in idle]
    return unknown, ineffective
