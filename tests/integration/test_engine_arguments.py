"""Engine arguments that vLLM's parser, or ours on top of it, must refuse in a sentence."""

from pathlib import Path

import pytest

from engine.config import EngineConfig
from engine.errors import EngineArgumentsError
from engine.vllm.arguments import engine_arguments, parse
from tests.support.limits import DEFAULTS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--no-such-flag"], "--no-such-flag"),
        (["--max-num-seqs", "many"], "--max-num-seqs"),
        (["--enable-auto-tool-choice", "--tool-call-parser", "nonsense"], "nonsense"),
        (["--api-key", "secret-of-mine"], "--api-key"),
        (["--ssl-keyfile", "key.pem"], "--ssl-keyfile"),
        (["--allowed-local-media-path", "/srv"], "--allowed-local-media-path"),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(demo: Path, arguments: list[str], sentence: str) -> None:
    config = EngineConfig(
        model=str(demo), served_names=("m",), arguments=tuple(arguments), limits=DEFAULTS
    )
    with pytest.raises(EngineArgumentsError, match=sentence) as caught:
        engine_arguments(parse(config))
    assert "secret-of-mine" not in str(caught.value)
