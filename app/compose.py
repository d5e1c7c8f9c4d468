"""Decides what the engine is started with: settings, command line, model source."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app import arguments
from app.arguments import Argument
from app.settings import BadSettingsError, Resolved
from engine import EngineConfig
from profiles import ModelReferenceError, ModelSource, fetch, parse_source, verify

_COMMAND_LINE = "command line"
_NO_MODEL = (
    "no model: set NIM_MODEL_PATH, or write it behind `serve`, "
    "as a directory or as hf://organisation/model"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be served, and who said so."""

    resolved: Resolved
    source: ModelSource
    served_names: tuple[str, ...]
    host: str
    port: int
    arguments: tuple[Argument, ...]
    sources: dict[str, str]


def plan(resolved: Resolved, words: Sequence[str]) -> Plan:
    """Merge the command line (`words`) with the settings; touches neither disk nor network.

    Raises:
        BadSettingsError: something is missing or contradicts itself.
    """
    settings = resolved.settings
    sources = dict(resolved.sources)
    words = list(words)
    positional = words.pop(0) if words and not words[0].startswith("-") else None
    merged = arguments.merge(
        arguments.from_settings(settings),
        arguments.from_text(settings.passthrough_args, "NIM_PASSTHROUGH_ARGS"),
        arguments.from_words(words, _COMMAND_LINE),
    )
    said = {argument.flag: argument.source for argument in merged}
    model, merged = arguments.take(merged, "--model")
    host, merged = arguments.take(merged, "--host")
    port, merged = arguments.take(merged, "--port")
    names = [name for item in merged if item.flag == "--served-model-name" for name in item.values]
    merged = [item for item in merged if item.flag != "--served-model-name"]
    reference = positional or model or settings.model_path
    if reference is None:
        raise BadSettingsError(_NO_MODEL)
    try:
        source = parse_source(reference)
    except ModelReferenceError as error:
        raise BadSettingsError(str(error)) from None
    sources |= {
        "model_path": _COMMAND_LINE
        if positional
        else said.get("--model", sources.get("model_path", "")),
        "host": said.get("--host", sources.get("host", "default")),
        "port": said.get("--port", sources.get("port", "default")),
        "served_model_name": said.get(
            "--served-model-name", sources.get("served_model_name", "the model's name")
        ),
    }
    return Plan(
        resolved=resolved,
        source=source,
        served_names=tuple(names) or settings.served_names or (source.name,),
        host=host or settings.host,
        port=settings.port if port is None else _port(port),
        arguments=tuple(merged),
        sources=sources,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004  # the largest port there is
        raise BadSettingsError("--port takes a number from 0 to 65535")
    return int(text)


async def engine_config(plan: Plan) -> EngineConfig:
    """Fetch and verify the model's files; the engine's configuration with them in place.

    Raises:
        ModelNotAvailableError: the files cannot be had, or are broken.
    """
    settings = plan.resolved.settings
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    directory = await asyncio.to_thread(
        fetch,
        plan.source,
        cache=settings.cache_path,
        offline=settings.disable_model_download,
        endpoint=settings.hf_endpoint,
        token=token,
    )
    await asyncio.to_thread(verify, directory)
    return EngineConfig(
        model=str(directory),
        served_names=plan.served_names,
        arguments=tuple(token for argument in plan.arguments for token in argument.tokens),
        log_level=settings.log_level,
        start_timeout_s=settings.start_timeout_s,
        stall_after_s=settings.stall_after_s,
        kill_after_s=settings.kill_after_s,
    )
