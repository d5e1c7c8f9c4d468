"""A call that the request forces is read the same however the answer is cut into deltas.

Where vLLM has no grammar for a family's own format, such a call is plain JSON.
"""

import json
from typing import Any

import pytest

from tests.integration.test_parser_splits import ALL, BROKEN, EMPTY, HARD, ONE, formats
from tests.support.answers import FORMATS, Call, Reader

NAMED = {"type": "function", "function": {"name": HARD[0]}}
FORCED: dict[str, tuple[Any, list[Call]]] = {
    "required": ("required", [HARD]),
    "required, two": ("required", [HARD, EMPTY]),
    "named": (NAMED, [HARD]),
}


def written(name: str, reader: Reader, calls: list[Call]) -> str:
    """As the model has to write it."""
    if not reader.forces_json:
        return FORMATS[name].write(calls)
    if reader.choice == "required":
        listed = [{"name": called, "parameters": values} for called, values in calls]
        return json.dumps(listed, ensure_ascii=False)
    ((_, values),) = calls
    return json.dumps(values, ensure_ascii=False)


@pytest.mark.parametrize(("choice", "calls"), FORCED.values(), ids=FORCED)
@pytest.mark.parametrize("name", formats(BROKEN))
def test_a_forced_call_is_read_the_same_in_pieces(
    name: str, choice: Any, calls: list[Call]
) -> None:
    form = FORMATS[name]
    reader = Reader(form.parser, None, form.tokens, choice=choice)
    text = written(name, reader, calls)
    assert reader.whole(text).values() == ("", "", calls)
    tokens = reader.tokens(text)
    cuts = [[first, *ALL] for first in range(1, len(tokens))]
    for cut in (ONE, [2], [3], [7], ALL, *cuts):
        assert reader.streamed(tokens, cut).values() == ("", "", calls), cut
