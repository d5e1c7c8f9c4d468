"""LangChain's OpenAIEmbeddings, unmodified."""

import os

import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings

TEXTS = ["A cat sat on the mat.", "The stock market fell.", "A kitten lay on the rug."]


def embeddings(**options):
    return OpenAIEmbeddings(
        model="minilm",
        base_url=os.environ["EMBEDDING_URL"] + "/v1",
        api_key="none",
        max_retries=0,
        **options,
    )


@pytest.fixture
def first_id(request, monkeypatch):
    """A vocabulary of bytes in the place of OpenAI's, which would be downloaded."""
    ranks = {bytes([byte]): request.param + byte for byte in range(256)}
    encoding = tiktoken.Encoding(
        "cl100k_base", pat_str=r"[\s\S]", mergeable_ranks=ranks, special_tokens={}
    )
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", encoding)
    return request.param


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_are_embedded_in_their_order():
    texts = embeddings(check_embedding_ctx_length=False, chunk_size=2)
    vectors = texts.embed_documents(TEXTS)
    assert [len(vector) for vector in vectors] == [384] * 3
    query = texts.embed_query(TEXTS[0])
    assert near(query, vectors[0]) > near(query, vectors[2]) > near(query, vectors[1])


@pytest.mark.parametrize("first_id", [1000], indirect=True)
def test_token_ids_which_it_sends_by_itself_are_taken_as_they_are(first_id):
    ids = [first_id + byte for byte in b"cat"]
    itself = embeddings()
    (by_hand,) = itself.client.create(model="minilm", input=[ids]).data
    assert near(itself.embed_query("cat"), by_hand.embedding) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("first_id", [1000], indirect=True)
def test_a_long_text_is_embedded_in_pieces(first_id):
    assert len(embeddings(embedding_ctx_length=200).embed_query("cat " * 500)) == 384


@pytest.mark.parametrize("first_id", [90_000], indirect=True)
def test_token_ids_of_another_vocabulary_are_refused(first_id):
    with pytest.raises(openai.BadRequestError, match="out of vocabulary"):
        embeddings().embed_query("cat")


def test_a_text_too_long_is_refused():
    with pytest.raises(openai.BadRequestError) as caught:
        embeddings(check_embedding_ctx_length=False).embed_query("cat " * 5000)
    assert caught.value.code == "context_length_exceeded"
