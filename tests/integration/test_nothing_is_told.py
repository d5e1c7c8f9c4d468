"""What clients say and what they prove themselves with is in no log of all these tests."""

import pytest

from tests.integration.test_traces import PRIVATE
from tests.support.keys import KeysFile
from tests.support.reader import STORY

# In prompts, in headers, in a file of keys: all of them were sent to servers of this session.
PLANTED = (STORY, PRIVATE, KeysFile.secret(""))


@pytest.mark.comes_last
def test_no_log_has_a_prompt_or_a_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    logs = [path for path in tmp_path_factory.getbasetemp().rglob("log") if path.is_file()]
    assert logs
    for log in logs:
        text = log.read_text(errors="replace")
        assert not [word for word in PLANTED if word in text], log
