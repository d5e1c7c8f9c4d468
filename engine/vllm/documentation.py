"""What the routes take and give, for all parts together, and the page that shows it.

vLLM's package has Swagger UI's files in it (for its `--enable-offline-docs`); nothing is fetched
from elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path

from vllm.entrypoints.serve import instrumentator

from engine.vllm import (
    completions,
    dynamic_adapters,
    embeddings,
    inspection,
    invocations,
    messages,
    model_card,
    responses,
    scoring_contracts,
    speech,
)
from engine.vllm.contract import Contract

CONTRACTS: Mapping[str, Contract] = (
    completions.CONTRACTS
    | responses.CONTRACTS
    | messages.CONTRACTS
    | embeddings.CONTRACTS
    | scoring_contracts.CONTRACTS
    | inspection.CONTRACTS
    | speech.CONTRACTS
    | model_card.CONTRACTS
    | dynamic_adapters.CONTRACTS
    | invocations.CONTRACTS
)
"""Every route that the engine answers, by its method and path."""

SWAGGER_UI = Path(str(instrumentator.__file__)).parent / "static"
