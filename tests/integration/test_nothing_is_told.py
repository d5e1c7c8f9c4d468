"""What clients say and prove themselves with is in no log and no metric of all these tests."""

import pytest

from tests.integration.test_traces import PRIVATE
from tests.support.keys import KeysFile
from tests.support.reader import STORY
from tests.support.server import Server

# In prompts, in headers, in a file of keys: all of them were sent to servers of this session.
PLANTED = (STORY, PRIVATE, KeysFile.secret(""))


@pytest.mark.comes_last
def test_no_log_and_no_metric_has_a_prompt_or_a_key(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server.keep_metrics()
    session = tmp_path_factory.getbasetemp()
    for name in ("log", "metrics"):
        files = [path for path in session.rglob(name) if path.is_file()]
        assert files
        for file in files:
            text = file.read_text(errors="replace")
            assert not [word for word in PLANTED if word in text], file
