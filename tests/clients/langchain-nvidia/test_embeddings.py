"""NVIDIA's class for embeddings with LangChain, unmodified."""

import os

import pytest
from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings

TEXTS = ["A cat sat on the mat.", "The stock market fell.", "A kitten lay on the rug."]


@pytest.fixture
def embeddings():
    return NVIDIAEmbeddings(
        model="minilm", base_url=os.environ["EMBEDDING_URL"] + "/v1", max_batch_size=2
    )


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_documents_keep_their_order_across_batches(embeddings):
    vectors = embeddings.embed_documents(TEXTS)
    assert [len(vector) for vector in vectors] == [384] * 3
    query = embeddings.embed_query(TEXTS[0])
    assert near(query, vectors[0]) > near(query, vectors[2]) > near(query, vectors[1])


def test_a_text_too_long_is_refused_or_cut_as_it_is_asked(embeddings):
    long = "cat " * 5000
    with pytest.raises(Exception, match="context_length_exceeded"):
        embeddings.embed_query(long)
    embeddings.truncate = "END"
    assert len(embeddings.embed_query(long)) == 384


def test_a_model_that_is_not_served(embeddings):
    other = NVIDIAEmbeddings(model="nv-embed-99", base_url=embeddings.base_url)
    with pytest.raises(Exception, match="model_not_found"):
        other.embed_query("x")


def test_a_model_that_writes_text_has_no_embeddings():
    chat = NVIDIAEmbeddings(model="unigate-demo", base_url=os.environ["URL"] + "/v1")
    with pytest.raises(Exception, match="needs an embedding model"):
        chat.embed_query("x")
