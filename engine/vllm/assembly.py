"""What vLLM's serving classes are made of, and how each request to one of them is answered."""

import argparse
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from vllm import envs
from vllm.entrypoints.launchers.cli_args import resolve_default_chat_template_kwargs
from vllm.renderers.chat_utils import ChatTemplateConfig, load_chat_template

from engine.account import account
from engine.answer import Answer
from engine.config import EngineConfig
from engine.errors import ModelNotFoundError
from engine.limits import Limits
from engine.media.intake import Intake
from engine.vllm.adapters import LoadedAdapters, Models
from engine.vllm.client import EngineClient
from engine.vllm.exchange import answer, parse_object
from engine.vllm.media import intake_of
from engine.vllm.prefix_tokens import remember_prefixes
from engine.vllm.renderer import Renderer
from engine.vllm.short_prompts import ShortPrompts
from engine.vllm.sound_grammars import remember_grammars
from engine.vllm.tokenizer_constants import borrow_less
from engine.vllm.tool_calls import put_right
from engine.vllm.unknown_fields import UnknownFields


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """Made once for a loaded model; each route's part takes from it what its class wants."""

    client: EngineClient
    args: argparse.Namespace
    limits: Limits
    models: Models
    renderer: Renderer
    base_names: tuple[str, ...]
    """The model's names; the first is the one answers carry."""

    adapters: LoadedAdapters
    """What else requests may name; changes while serving."""

    intake: Intake
    """Judges the media of a request, before vLLM sees it."""

    unknown: UnknownFields
    """Counts what requests have and nobody reads."""

    options: dict[str, Any]
    """What renderer and serving classes must agree on: chat template, tools, reasoning."""

    @classmethod
    def of(
        cls,
        client: EngineClient,
        args: argparse.Namespace,
        config: EngineConfig,
        adapters: LoadedAdapters,
        unknown: UnknownFields,
    ) -> "Assembly":
        """Takes a while: the renderer compiles its template."""
        base_names = tuple(args.served_model_name)
        put_right(args.tool_call_parser)
        options: dict[str, Any] = {
            "request_logger": None,
            "chat_template": load_chat_template(args.chat_template),
            "chat_template_content_format": args.chat_template_content_format,
            "trust_request_chat_template": args.trust_request_chat_template,
            "default_chat_template_kwargs": resolve_default_chat_template_kwargs(args),
            "enable_auto_tools": args.enable_auto_tool_choice,
            "exclude_tools_when_tool_choice_none": args.exclude_tools_when_tool_choice_none,
            "tool_parser": args.tool_call_parser,
            "tool_strict_level": args.tool_strict_level,
            "reasoning_parser": args.structured_outputs_config.reasoning_parser,
        }
        renderer = Renderer(
            model_config=client.model_config,
            renderer=ShortPrompts(client.renderer, options["chat_template"]),  # type: ignore[arg-type]  # stands in for it
            trust_request_mm_kwargs=args.trust_request_mm_kwargs,
            log_error_stack=args.log_error_stack,
            **options,
        )
        remember_prefixes(client.renderer)
        borrow_less(client.renderer)
        remember_grammars()
        renderer.warmup()
        return cls(
            client=client,
            args=args,
            limits=config.limits,
            models=Models(client, base_names, adapters),
            renderer=renderer,
            base_names=base_names,
            adapters=adapters,
            intake=intake_of(
                client.model_config,
                client.renderer.mm_processor,
                config.media,
                trusts=args.trust_request_mm_kwargs,
            ),
            unknown=unknown,
            options=options,
        )

    @property
    def served(self) -> tuple[str, ...]:
        """All names that requests may use at the moment."""
        return (*self.base_names, *self.adapters.names)

    def options_of(self, serving: type) -> dict[str, Any]:
        """The `options` that one of vLLM's classes has parameters for."""
        known = inspect.signature(serving).parameters
        return {name: value for name, value in self.options.items() if name in known}

    def pooling_template(self) -> ChatTemplateConfig:
        """The chat template as vLLM's pooling classes want it."""
        return ChatTemplateConfig(
            chat_template=self.options["chat_template"],
            chat_template_content_format=self.args.chat_template_content_format,
            trust_request_chat_template=self.args.trust_request_chat_template,
            trust_request_mm_kwargs=self.args.trust_request_mm_kwargs,
        )

    def read(self, route: str, body: bytes, suffixes: Iterable[str] = ("",)) -> dict[str, Any]:
        """The JSON object in a body, if it names a model that is served, and asks for and brings
        no more than it may.

        `route` is its method and path, as in the contracts; names may end in one of `suffixes`.

        Belongs into the task that answers the request, whose media are loaded there; raises
        `EngineError`.
        """
        request = parse_object(body)
        self.judge(route, request, suffixes)
        return request

    def judge(self, route: str, request: dict[str, Any], suffixes: Iterable[str] = ("",)) -> None:
        """What `read` does when the body is read."""
        self.judge_plain(request, suffixes)
        self.intake.admit(request)
        self.unknown.note(route, request)

    def judge_plain(self, request: dict[str, Any], suffixes: Iterable[str] = ("",)) -> None:
        """As `judge`, of a request that is known to have text only, and no unknown fields."""
        self._check_model(request.get("model"), suffixes)
        self.limits.check(request)

    def _check_model(self, named: Any, suffixes: Iterable[str]) -> None:
        """Refuse a model that is not served; vLLM would log its name, which may be anything."""
        mine = account.get(None)
        if named in self.base_names:  # as most are
            if mine is not None:
                mine.model = named
            return
        if not isinstance(named, str | None):
            return  # the validation's to refuse
        found = {named.removesuffix(suffix) for suffix in suffixes} if named else {""}
        served = [name for name in ("", *self.served) if name in found]
        if not served and not envs.VLLM_SKIP_MODEL_NAME_VALIDATION:
            raise ModelNotFoundError(named or "", self.served)
        if mine is not None:
            mine.model = next(filter(None, served), self.base_names[0])

    async def answer(
        self, create: Callable[[Any], Awaitable[Any]], request: Any, prompt_field: str
    ) -> Answer:
        """Ask `create`, one of vLLM's serving methods, for the answer; raises `EngineError`.

        `prompt_field` is what the dialect calls the field that a prompt too long came in.
        """
        return await answer(create, request, prompt_field=prompt_field, served=lambda: self.served)
