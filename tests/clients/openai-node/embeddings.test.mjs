// OpenAI's SDK for Node, unmodified: embeddings.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.EMBEDDING_URL}/v1`, apiKey: "none", maxRetries: 0 });
const ask = { model: "minilm", input: ["a cat on a mat", "a dog in the fog"] };

test("vectors in base64, as the SDK asks by itself, are those in floats", async () => {
  const packed = await client.embeddings.create(ask);
  const plain = await client.embeddings.create({ ...ask, encoding_format: "float" });
  assert.equal(packed.data.length, 2);
  assert.equal(packed.data[0].embedding.length, 384);
  packed.data[0].embedding.forEach((value, at) => {
    assert.ok(Math.abs(value - plain.data[0].embedding[at]) < 1e-5);
  });
  assert.ok(packed.usage.prompt_tokens > 0);
});

test("chat with a model that makes vectors is refused with a sentence", async () => {
  const chat = client.chat.completions.create({ ...ask, messages: [{ role: "user", content: "Hi" }] });
  await assert.rejects(chat, (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
    assert.match(error.message, /needs a model that generates text/);
    return true;
  });
});
