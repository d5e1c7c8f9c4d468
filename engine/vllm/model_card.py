"""The entries of GET /v1/models."""

from typing import Literal

from typing_extensions import TypedDict

from engine.errors import ModelNotFoundError
from engine.vllm.contract import Contract


class ModelCard(TypedDict):
    """A name that requests may use."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    # Operators and LangChain tell base models (root == id) from adapters by it.
    root: str
    parent: str | None
    max_model_len: int


class ModelList(TypedDict):
    """All of them."""

    object: Literal["list"]
    data: list[ModelCard]


CONTRACTS = {
    "GET /v1/models": Contract(response=ModelList, errors=()),
    "GET /v1/models/{name}": Contract(response=ModelCard, errors=(ModelNotFoundError,)),
}
