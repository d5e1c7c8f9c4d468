"""Decides what the engine is started with: the plan, the profile that was chosen, the files."""

import asyncio
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app import arguments
from app.arguments import Argument
from app.observability.metrics import observe_profile
from app.plan import Plan
from app.settings import Settings
from engine import AdapterOptions, EngineConfig
from engine.admission import AdmissionRules
from engine.limits import Limits
from engine.media.rules import MediaRules
from profiles.errors import ModelNotAvailableError
from profiles.progress import Progress
from profiles.progress_report import ProgressReport
from profiles.source import LocalModel, ModelSource, parse_source

if TYPE_CHECKING:
    from profiles.selection import Selection
    from profiles.situation import Situation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan, and the profile that was chosen for it."""

    plan: Plan
    situation: "Situation"
    selection: "Selection"

    @property
    def source(self) -> ModelSource:
        """Where the weights come from: a profile may have its own."""
        weights = self.selection.profile.weights
        return parse_source(weights) if weights else self.plan.source

    def arguments(self, directory: Path) -> list[Argument]:
        """The engine's arguments, for a model whose files are in `directory`.

        The user's word wins over the profile's, and that over the parsers that the files ask for.
        """
        from profiles.parsers import detect  # noqa: PLC0415  # as in situation()

        chosen = arguments.merge(
            arguments.from_profile(self.selection.arguments, self.selection.profile.name),
            arguments.beside_model(self.plan.arguments, directory),
        )
        found = detect(directory, arguments.value_of(chosen, "--chat-template"))
        if "reasoning_parser" in (arguments.value_of(chosen, "--structured-outputs-config") or ""):
            found = replace(found, reasoning=None)  # the flag would win over it
        return arguments.merge(arguments.from_parsers(found), chosen)

    @property
    def visible_devices(self) -> str | None:
        """CUDA_VISIBLE_DEVICES for the engine; None where it sees the right GPUs anyway."""
        indices = self.selection.gpu_indices
        if indices == tuple(range(len(indices))):
            return None  # vLLM takes the first ones
        said = self.plan.resolved.visible_devices
        names = said.split(",") if said else [str(index) for index in range(max(indices) + 1)]
        return ",".join(names[index].strip() for index in indices)


def situation(plan: Plan) -> "Situation":
    """The model, the machine and the profiles there are; blocks for a request or two.

    Raises:
        ProfilesError: what is asked for is not there, or not understood.
    """
    # Sources, hardware and catalogue take 0.5 s to import; the first health answer need not wait.
    from profiles.selection.request import Request  # noqa: PLC0415
    from profiles.situation import survey  # noqa: PLC0415

    settings = plan.resolved.settings
    flags = {argument.flag: " ".join(argument.values) for argument in plan.arguments}
    return survey(
        plan.source,
        Request(
            profile=settings.model_profile,
            expected=settings.expect_profile,
            lora="--enable-lora" in flags,
            max_model_len=_integer(flags, "--max-model-len"),
            tp=_integer(flags, "--tensor-parallel-size"),
            pp=_integer(flags, "--pipeline-parallel-size"),
            arguments=flags,
        ),
        cache=settings.cache_path,
        access=plan.resolved.access,
        offline=settings.disable_model_download,
        hub_caches=settings.hub_caches,
        probe_timeout_s=settings.cache_probe_timeout_s,
        visible_devices=plan.resolved.visible_devices,
        manifest=plan.manifest,
    )


def _integer(flags: dict[str, str], flag: str) -> int | None:
    """A flag's number; what is none is vLLM's parser's to refuse."""
    value = flags.get(flag, "")
    return int(value) if value.isdecimal() else None


async def choose(plan: Plan) -> Choice:
    """Choose the profile, and say which.

    Raises:
        ProfilesError: no profile fits, or what is asked for is not there.
    """

    def select() -> Choice:
        found = situation(plan)
        for note in found.notes:
            log.warning("profile.note", extra={"reason": note})
        return Choice(plan, found, found.select())

    choice = await asyncio.to_thread(select)
    selection = choice.selection
    log.info(
        "profile.selected", extra={"profile": selection.profile.id, "reason": selection.summary}
    )
    observe_profile(selection.profile.id, selection.profile.name, plan.served_names[0])
    for warning in selection.warnings:
        log.warning("profile.warning", extra={"reason": warning})
    return choice


def place_for_compiled(settings: Settings) -> Path | None:
    """Where the engine may keep what it compiles; None where nothing can be kept."""
    from profiles.store import compiled  # noqa: PLC0415  # as in situation()

    directory = settings.runtime_cache_path or settings.cache_path / "runtime"
    try:
        place = compiled.place(directory, timeout_s=settings.cache_probe_timeout_s)
    except (OSError, ModelNotAvailableError) as error:
        log.warning("runtime_cache.not_kept", extra={"reason": str(error)})
        return None
    log.info("runtime_cache.kept", extra={"path": str(place)})
    return place


async def prepare(choice: Choice, progress: Progress) -> EngineConfig:
    """Fetch and verify the model's files; the engine's configuration with them in place.

    Raises:
        ModelNotAvailableError: the files cannot be had, or are broken.
    """
    settings = choice.plan.resolved.settings
    directory = await asyncio.to_thread(
        fetch_model, choice.plan, choice.source, progress, choice.situation
    )
    flags = await asyncio.to_thread(choice.arguments, directory)
    _tell_parsers(flags)
    return EngineConfig(
        model=str(directory),
        served_names=choice.plan.served_names,
        arguments=tuple(word for argument in flags for word in argument.tokens),
        adapters=_adapters(settings),
        visible_devices=choice.visible_devices,
        start_timeout_s=settings.start_timeout_s,
        stall_after_s=settings.stall_after_s,
        kill_after_s=settings.kill_after_s,
        request_timeout_s=settings.request_timeout_s,
        limits=limits(settings),
        admission=AdmissionRules(
            waiting=settings.max_waiting,
            wait_s=settings.max_wait_s,
            queued_tokens=settings.max_queued_tokens,
        ),
        responses_bytes=settings.responses_mib << 20,
        responses_kept_s=settings.responses_kept_s,
        audio_bytes=settings.max_audio_mib << 20,
        audio_s=settings.max_audio_s,
        media=_media_rules(settings),
    )


def _media_rules(settings: Settings) -> MediaRules:
    return MediaRules(
        fetches=settings.media_fetch,
        hosts=settings.media_hosts,
        allows_http=settings.media_allow_http,
        private_networks=settings.media_private_networks,
        connect_timeout_s=settings.media_connect_timeout_s,
        timeout_s=settings.media_timeout_s,
        item_bytes=settings.media_mib << 20,
        request_bytes=settings.media_request_mib << 20,
        image_pixels=int(settings.image_megapixels * 1_000_000),
        request_pixels=int(settings.image_request_megapixels * 1_000_000),
        audio_s=settings.max_audio_s,
    )


def _tell_parsers(flags: list[Argument]) -> None:
    """Who reads tool calls and reasoning, and who has said so."""
    said = {item.flag: f"{' '.join(item.values)} ({item.source})" for item in flags}
    tool_calls = said.get("--tool-call-parser") if "--enable-auto-tool-choice" in said else None
    log.info(
        "parsers.chosen",
        extra={
            "tool_calls": tool_calls or "none",
            "reasoning": said.get("--reasoning-parser") or "none",
        },
    )


def limits(settings: Settings) -> Limits:
    """How much one request may ask for."""
    return Limits(
        messages=settings.max_messages,
        inputs=settings.max_inputs,
        n=settings.max_n,
        stop=settings.max_stop,
        tools=settings.max_tools,
        schema_bytes=settings.max_schema_kib << 10,
        schema_depth=settings.max_schema_depth,
        max_tokens=settings.max_tokens,
    )


def _adapters(settings: Settings) -> AdapterOptions | None:
    if settings.peft_source is None:
        return None
    return AdapterOptions(
        root=settings.peft_source.absolute(),
        refresh_interval_s=settings.peft_refresh_interval_s,
        timeout_s=settings.peft_timeout_s,
        has_api=settings.allow_runtime_lora_updating,
    )


def fetch_model(
    plan: Plan, source: ModelSource, progress: Progress, found: "Situation | None" = None
) -> Path:
    """The directory with the source's files, whole and verified; blocks, and tells how far it is.

    What the source has said when the situation was `found` is not asked again.

    Raises:
        ModelNotAvailableError: the files cannot be had, or are broken.
    """
    from profiles.download import fetch  # noqa: PLC0415  # as in situation()
    from profiles.model_directory import verify  # noqa: PLC0415

    settings = plan.resolved.settings
    known = found.description if found else None
    with ProgressReport(progress, terminal=sys.stderr):
        directory = fetch(
            source,
            cache=settings.cache_path,
            offline=settings.disable_model_download,
            access=plan.resolved.access,
            hub_caches=settings.hub_caches,
            progress=progress,
            probe_timeout_s=settings.cache_probe_timeout_s,
            listing=known.listing if known and known.source == source else None,
        )
        if isinstance(source, LocalModel) or not source.files:  # a part is no whole model
            verify(directory)
    return directory
