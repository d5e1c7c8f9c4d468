"""Metrics of a server that has worked, by all of their names."""

import re

from app.observability.nim_names import NAMES
from tests.support.server import Server

ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def test_what_nim_1_had_is_there_with_the_same_values(server: Server) -> None:
    server.post("/v1/chat/completions", ASK)
    text = server.get("/v1/metrics").text
    for name, nims in NAMES.items():
        for suffix in ("", "_total", "_sum", "_count"):
            pattern = rf"^{{}}{suffix}({{{{.*}}}} .*)$"
            theirs = re.findall(pattern.format(re.escape(name)), text, re.MULTILINE)
            ours = re.findall(pattern.format(nims), text, re.MULTILINE)
            assert ours == theirs
        assert f"# TYPE {nims}" in text
