"""NVIDIA's class for reranking with LangChain, unmodified."""

import os

import pytest
from langchain_core.documents import Document
from langchain_nvidia_ai_endpoints import NVIDIARerank

QUERY = "What does a cat eat?"
TEXTS = ["A cat eats meat.", "Interest rates on bonds rose again.", "Dogs bark at night.", "Grass."]


@pytest.fixture
def reranker():
    return NVIDIARerank(
        model="tiny-reranker", base_url=os.environ["RERANKER_URL"] + "/v1", top_n=10
    )


def ranked(reranker, texts=TEXTS, query=QUERY):
    documents = [Document(page_content=text, metadata={"place": text}) for text in texts]
    return reranker.compress_documents(documents, query)


def test_documents_come_best_first_with_what_they_had(reranker):
    found = ranked(reranker)
    assert sorted(document.page_content for document in found) == sorted(TEXTS)
    assert all(document.metadata["place"] == document.page_content for document in found)
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.5
    # The scores are the model's, whatever place a text has.
    again = {document.page_content: document for document in ranked(reranker, TEXTS[::-1])}
    for document in found:
        score = again[document.page_content].metadata["relevance_score"]
        assert score == pytest.approx(document.metadata["relevance_score"], abs=1e-3)


def test_as_many_as_are_asked_for_come_across_batches(reranker):
    best = [document.page_content for document in ranked(reranker)]
    reranker.top_n, reranker.max_batch_size = 2, 3
    assert [document.page_content for document in ranked(reranker)] == best[:2]


def test_a_text_too_long_is_refused_or_cut_as_it_is_asked(reranker):
    long = ["cat " * 500, "A cat eats meat."]
    reranker.truncate = "NONE"
    with pytest.raises(Exception, match="context_length_exceeded"):
        ranked(reranker, long)
    reranker.truncate = "END"
    assert len(ranked(reranker, long)) == 2


def test_a_query_without_words_is_refused_by_name(reranker):
    with pytest.raises(Exception, match=r"query\.text must not be empty"):
        ranked(reranker, query=" ")


def test_a_model_that_is_not_served(reranker):
    other = NVIDIARerank(model="nv-rerank-99", base_url=reranker.base_url)
    with pytest.raises(Exception, match="model_not_found"):
        ranked(other)


def test_a_model_that_writes_text_ranks_nothing():
    chat = NVIDIARerank(model="unigate-demo", base_url=os.environ["URL"] + "/v1")
    with pytest.raises(Exception, match="needs a reranker"):
        ranked(chat)
