"""Decides which adapters are loaded: those in NIM_PEFT_SOURCE, and those that the API asks for."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from engine.adapters.copy import Copier, Copy
from engine.adapters.name import check_name
from engine.adapters.observer import Observer
from engine.adapters.refusal import AdapterRefusedError, Reason
from engine.adapters.root import Fingerprint, Root, fingerprint
from engine.config import AdapterOptions
from engine.daemon_thread import call_in_daemon_thread
from engine.errors import EngineError, EngineStalledError

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Shelf(Protocol):
    """The engine's side: what is loaded, by the names that requests use."""

    @property
    def max_rank(self) -> int:
        """The highest rank the engine has room for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that requests may name."""

    async def load(self, name: str, copy: Copy) -> None:
        """Serve a copy under a name, for requests from now on; raises `EngineError`."""

    def unload(self, name: str) -> None:
        """Serve it no more; what runs on it goes on."""


class Library:
    """One root, one engine; its coroutines belong to the event loop."""

    def __init__(
        self,
        options: AdapterOptions,
        shelf: Shelf,
        scratch: Path,
        observer: Observer,
    ) -> None:
        """Copies go to `scratch`."""
        self._options = options
        self._shelf = shelf
        self._root = Root(options.root)
        self._copier = Copier(self._root, scratch, shelf.max_rank)
        self._observer = observer
        self._one_at_a_time = asyncio.Lock()
        self._looking: asyncio.Future[dict[str, Fingerprint]] | None = None
        # What was there at the last look, and what was loaded or refused of it.
        self._seen: dict[str, Fingerprint] = {}
        self._judged: dict[str, Fingerprint] = {}
        self._from_root: set[str] = set()

    async def watch(self) -> None:
        """Look again at every interval; returns at once if there is none."""
        while self._options.refresh_interval_s is not None:
            await asyncio.sleep(self._options.refresh_interval_s)
            try:
                await self.look()
            except Exception:  # a bug of ours must not end the watch
                log.exception("adapter.look_failed")

    async def look(self) -> None:
        """Follow the root: load what is the same at two looks in a row, unload what is gone."""
        found = await self._look()
        if found is None:
            return
        settled = [name for name in sorted(found) if self._seen.get(name) == found[name]]
        self._seen = found
        for name in self._judged.keys() - found.keys():
            del self._judged[name]
            if name in self._from_root:
                self._from_root.discard(name)
                self._shelf.unload(name)
        for name in settled:
            if self._judged.get(name) != found[name]:
                await self._judge(name, found[name])

    async def _look(self) -> dict[str, Fingerprint] | None:
        """What is in the root; None if it cannot be told, in which case everything stays."""
        # A dead mount keeps its thread for ever: one is enough.
        looking = self._looking or asyncio.ensure_future(
            call_in_daemon_thread(self._root.look, "adapters-look")
        )
        self._looking = looking
        await asyncio.wait({looking}, timeout=self._options.timeout_s)
        if not looking.done():
            log.warning("adapter.root_silent", extra={"waited_s": self._options.timeout_s})
            return None
        self._looking = None
        try:
            return looking.result()
        except OSError as error:
            log.warning("adapter.root_unreadable", extra={"reason": error.strerror})
            return None

    async def _judge(self, name: str, seen: Fingerprint) -> None:
        """Load one that was found, or say why not."""
        try:
            async with self._turn():
                await self._add(name, name, seen, replaces=name in self._from_root)
        except AdapterRefusedError as error:
            if error.reason is not Reason.CHANGING:
                self._judged[name] = seen
                self._refused(name, error)
        except EngineError as error:
            log.warning("adapter.postponed", extra={"adapter": name, "reason": str(error)})
        else:
            self._judged[name] = seen
            self._from_root.add(name)

    async def load(self, name: str, path: str, *, in_place: bool) -> None:
        """Load what the API asks for; raises `EngineError`.

        Raises:
            AdapterRefusedError: it cannot be served, or not under this name.
            EngineStalledError: not in time.
        """
        try:
            async with self._turn():
                directory = await _in_thread(partial(self._root.directory, path))
                seen = await _in_thread(partial(fingerprint, directory))
                await self._add(name, directory, seen, replaces=in_place)
        except AdapterRefusedError as error:
            self._refused(name, error)
            raise
        # The API has the last word on this name, until somebody touches the directory.
        self._from_root.discard(name)
        if name in self._seen:
            self._judged[name] = self._seen[name]

    def unload(self, name: str) -> None:
        """Unload what the API asks for; it stays away until somebody touches its directory."""
        self._from_root.discard(name)
        self._shelf.unload(name)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """One adapter after the other, each within its time."""
        limit_s = self._options.timeout_s
        try:
            async with asyncio.timeout(limit_s), self._one_at_a_time:
                yield
        except TimeoutError:
            raise EngineStalledError(
                f"The adapter was not loaded within {limit_s:g} s (NIM_PEFT_API_TIMEOUT_SECS)."
            ) from None

    async def _add(self, name: str, path: str | Path, seen: Fingerprint, *, replaces: bool) -> None:
        check_name(name)
        if name in self._shelf.names and not replaces:
            raise AdapterRefusedError(
                Reason.NAME,
                f"An adapter {name!r} is loaded already; load_inplace replaces it.",
                "lora_name",
            )
        directory = await _in_thread(partial(self._root.directory, path))
        copy = await _in_thread(partial(self._copier.copy, directory, seen))
        await self._shelf.load(name, copy)

    def _refused(self, name: str, error: AdapterRefusedError) -> None:
        extra = {"adapter": name, "code": error.reason.value, "reason": str(error)}
        log.warning("adapter.refused", extra=extra)
        self._observer.adapter_refused(error.reason)


async def _in_thread(function: Callable[[], Result]) -> Result:
    return await call_in_daemon_thread(function, "adapter-files")
