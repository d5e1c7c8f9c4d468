"""A directory of adapters with a library over it; the engine is a fake at our own protocol."""

import asyncio
from pathlib import Path

from engine.adapters.copy import Copy
from engine.adapters.library import Library
from engine.adapters.refusal import Reason
from engine.config import AdapterOptions

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Shelf:
    """What the engine would serve: name → the bytes of the weights that it was given."""

    def __init__(self) -> None:
        self.served: dict[str, bytes] = {}
        self.hangs = False
        self.max_rank = 8

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.served)

    async def load(self, name: str, copy: Copy) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self.served[name] = (copy.path / WEIGHTS).read_bytes()

    def unload(self, name: str) -> None:
        del self.served[name]


class Refusals(list[Reason]):
    def adapters_changed(self, served: int, in_engine: int) -> None:
        pass

    def adapter_refused(self, reason: Reason) -> None:
        self.append(reason)


class Place:
    """A root with a library over it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root, self.scratch = tmp_path / "loras", tmp_path / "scratch"
        for directory in (self.root, self.scratch):
            directory.mkdir()
        self.shelf, self.refusals = Shelf(), Refusals()
        options = AdapterOptions(
            root=self.root, refresh_interval_s=None, timeout_s=2.0, has_api=True
        )
        self.library = Library(options, self.shelf, self.scratch, self.refusals)

    def look(self, times: int = 2) -> None:
        async def looks() -> None:
            for _ in range(times):
                await self.library.look()

        asyncio.run(looks())

    def load(self, name: str, path: str, *, in_place: bool = False) -> None:
        asyncio.run(self.library.load(name, path, in_place=in_place))

    def judged(self, name: str = "mine") -> Reason | None:
        """Why it is refused, None if it is served."""
        self.look()
        if name in self.shelf.served:
            assert not self.refusals
            return None
        (reason,) = self.refusals
        return reason
