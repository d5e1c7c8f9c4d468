"""The adapters that the engine serves: vLLM's requests for them by name, held while they are used.

vLLM's own `OpenAIServingModels` loads and forgets names, but never tells the engine to let go of
weights, and loads in place under what runs. Here each load is a version with an id of its own: what
runs on a version that is replaced or unloaded goes on with it, and its weights are removed from the
engine when the last request on it is over.
"""

import asyncio
import logging
import re
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Never

from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.lora.request import LoRARequest
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError

from engine.adapters.copy import Copy
from engine.adapters.observer import Observer
from engine.adapters.refusal import AdapterRefusedError, Reason
from engine.errors import EngineDeadError, EngineError, ModelNotFoundError
from engine.vllm.adapter_modules import EXTENSION
from engine.vllm.client import EngineClient
from engine.vllm.refusals import DEAD

log = logging.getLogger(__name__)

held: ContextVar[ExitStack] = ContextVar("held")
"""What the request that is being answered uses; closed when it is over."""

# A request that ends by a stop string is over here before the engine is told.
_LINGER_S = 1.0
# Not allowed in names.
_VERSION = "#"
_WORKERS_WORDS = re.compile(r"Worker failed with error '(.*)', please check")
_MOST_NAMED = 3
_LONGEST_WORDS = 300


@dataclass(slots=True, eq=False)
class _Version:
    """One adapter as it was loaded once."""

    request: LoRARequest
    copy: Copy
    created: int = field(default_factory=lambda: int(time.time()))
    users: int = 0


class LoadedAdapters(Mapping[str, LoRARequest]):
    """Name → what vLLM's serving classes hand to the engine; `engine.adapters.library.Shelf`."""

    def __init__(
        self,
        client: EngineClient,
        base_names: tuple[str, ...],
        timeout_s: float,
        observer: Observer,
    ) -> None:
        """`timeout_s` bounds each call that frees the engine; who loads sets the time for that."""
        self._client = client
        self._base_names = base_names
        self._timeout_s = timeout_s
        self._observer = observer
        self._served: dict[str, _Version] = {}
        self._retired: list[_Version] = []
        self._retirement = asyncio.Event()
        self._last_id = 0
        self._in_engine = 0
        self._failure: EngineError | None = None
        self._asked: set[asyncio.Future[None]] = set()

    def __getitem__(self, name: str) -> LoRARequest:
        version = self._served[name]
        request_stack = held.get(None)
        if request_stack is not None:
            version.users += 1
            request_stack.callback(self._release, version)
        return version.request

    def __contains__(self, name: object) -> bool:
        return name in self._served

    def __iter__(self) -> Iterator[str]:
        return iter(self._served)

    def __len__(self) -> int:
        return len(self._served)

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that requests may name, in the order in which they came."""
        return tuple(self._served)

    @property
    def max_rank(self) -> int:
        """The highest rank the engine has room for."""
        config = self._client.vllm_config.lora_config
        return config.max_lora_rank if config is not None else 0

    def created(self, name: str) -> int:
        """When it was loaded, in seconds since 1970."""
        return self._served[name].created

    async def load(self, name: str, copy: Copy) -> None:
        """Serve a copy under a name; raises `EngineError`, and serves what it served before."""
        if name in self._base_names:
            raise AdapterRefusedError(
                Reason.NAME, f"{name!r} is the name of the model itself.", "lora_name"
            )
        version = self._version(name, copy)
        try:
            await self._unless_given_up(self._hand_over(version))
        except BaseException as error:
            # The engine may have a part of it, or get it when nobody waits any more.
            self._retire(version)
            if isinstance(error, VllmEngineDeadError):
                raise EngineDeadError(DEAD) from error
            if isinstance(error, Exception) and not isinstance(error, EngineError):
                raise _refused_by_engine(error, name, copy) from error
            raise
        previous = self._served.pop(name, None)
        self._served[name] = version
        if previous is not None:
            self._retire(previous)
        log.info("adapter.loaded", extra={"adapter": name, "replaced": previous is not None})
        self._tell()

    def give_up(self, error: EngineError) -> None:
        """Load nothing more; what is being loaded fails with `error` now."""
        self._failure = error
        for asked in self._asked:
            asked.cancel()

    async def _unless_given_up(self, call: Coroutine[Any, Any, None]) -> None:
        # vLLM's calls never end when its engine does.
        asked = asyncio.ensure_future(call)
        self._asked.add(asked)
        try:
            if self._failure is not None:
                asked.cancel()
            await asked
        except asyncio.CancelledError:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            self._asked.discard(asked)

    async def _hand_over(self, version: _Version) -> None:
        await self._check_modules(version.copy)
        await self._client.add_lora(version.request)
        self._in_engine = len(await self._client.list_loras())

    def unload(self, name: str) -> None:
        """Serve it no more; raises `ModelNotFoundError`."""
        if name not in self._served:
            raise ModelNotFoundError(name, (*self._base_names, *self._served))
        self._retire(self._served.pop(name))
        log.info("adapter.unloaded", extra={"adapter": name})
        self._tell()

    async def free(self) -> Never:
        """Remove from the engine what nobody uses any more, whenever there is some."""
        while True:
            await self._retirement.wait()
            self._retirement.clear()
            await asyncio.sleep(_LINGER_S)
            for version in [version for version in self._retired if not version.users]:
                await self._free(version)

    async def _free(self, version: _Version) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.remove_lora(version.request.lora_int_id)
                self._in_engine = len(await self._client.list_loras())
        except Exception as error:  # noqa: BLE001  # it stays retired, and is tried again
            extra = {"adapter": version.request.lora_name, "error": type(error).__name__}
            log.warning("adapter.not_freed", extra=extra)
            self._retirement.set()
            return
        self._retired.remove(version)
        version.copy.close()
        self._tell()

    def _version(self, name: str, copy: Copy) -> _Version:
        self._last_id += 1
        # Requests on two versions may be in one step, where vLLM tells adapters apart by name.
        taken = {one.request.lora_name for one in (*self._served.values(), *self._retired)}
        engines_name = f"{name}{_VERSION}{self._last_id}" if name in taken else name
        return _Version(LoRARequest(engines_name, self._last_id, str(copy.path)), copy)

    async def _check_modules(self, copy: Copy) -> None:
        """Raises `AdapterRefusedError` for weights of modules that the model does not have."""
        config = self._client.vllm_config
        if config.parallel_config.worker_extension_cls != EXTENSION or not copy.shapes:
            return  # vLLM looks at the last part of their names, at least
        if config.lora_config is not None and config.lora_config.target_modules is not None:
            return  # the user has chosen which modules count
        workers = await self._client.collective_rpc("foreign_modules", args=(copy.shapes,))
        # Stages of a pipeline have some of the modules each.
        missing = set.intersection(*(set(missing) for missing, _ in workers))
        misshapen = {name for _, misshapen in workers for name in misshapen}
        for names, what in ((missing, "does not have"), (misshapen, "has in other sizes")):
            if names:
                listed = ", ".join(sorted(names)[:_MOST_NAMED])
                raise AdapterRefusedError(
                    Reason.MODULES,
                    f"It is for {len(names)} modules that the model {what}: {listed}.",
                )

    def _retire(self, version: _Version) -> None:
        self._retired.append(version)
        self._retirement.set()

    def _release(self, version: _Version) -> None:
        version.users -= 1
        if not version.users and version in self._retired:
            self._retirement.set()

    def _tell(self) -> None:
        self._observer.adapters_changed(len(self._served), self._in_engine)


class Models(OpenAIServingModels):
    """What vLLM's serving classes ask about names, with adapters of ours."""

    def __init__(
        self, client: EngineClient, base_names: tuple[str, ...], adapters: LoadedAdapters
    ) -> None:
        # The name stands in for the path, which is nobody's business outside.
        paths = [BaseModelPath(name=name, model_path=name) for name in base_names]
        super().__init__(engine_client=client, base_model_paths=paths)
        self.lora_requests = adapters  # type: ignore[assignment]  # a mapping, too

    def model_name(self, lora_request: LoRARequest | None = None) -> str:
        """What answers carry: not the engine's name for a version."""
        return super().model_name(lora_request).partition(_VERSION)[0]


def _refused_by_engine(error: Exception, name: str, copy: Copy) -> AdapterRefusedError:
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    told = _WORKERS_WORDS.search(words)
    words = (told[1] if told else words).replace(str(copy.path), name)[:_LONGEST_WORDS]
    return AdapterRefusedError(Reason.ENGINE, f"The engine cannot load it: {words}")
