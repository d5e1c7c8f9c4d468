// OpenAI's SDK for Node, unmodified: models, and refusals as the SDK's classes.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const model = "unigate-demo";
const client = new OpenAI({ baseURL: `${process.env.URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is unigate?" }];

test("the models are listed and retrieved", async () => {
  const listed = [];
  for await (const each of client.models.list()) listed.push(each.id);
  assert.deepEqual(listed, [model]);
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve("gpt-99"), OpenAI.NotFoundError);
});

const refusals = {
  "a model that is not served": [{ model: "gpt-99" }, OpenAI.NotFoundError, "model_not_found"],
  "a wrong value": [{ temperature: -1 }, OpenAI.BadRequestError, "invalid_request", "temperature"],
  "a prompt too long": [
    { messages: [{ role: "user", content: "x ".repeat(50_000) }] },
    OpenAI.BadRequestError,
    "context_length_exceeded",
    "messages",
  ],
};

for (const [what, [fields, kind, code, param]] of Object.entries(refusals)) {
  for (const stream of [false, true]) {
    test(`${what} is refused before the answer begins (streamed: ${stream})`, async () => {
      const asked = client.chat.completions.create({ model, messages, stream, ...fields });
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof kind, `${error}`);
        assert.equal(error.code, code);
        if (param) assert.equal(error.param, param);
        assert.ok(error.requestID);
        return true;
      });
    });
  }
}

test("embeddings of a model that writes text are refused with a sentence", async () => {
  await assert.rejects(client.embeddings.create({ model, input: "Hello" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
    assert.equal(error.code, "task_not_supported");
    assert.match(error.message, /needs an embedding model/);
    return true;
  });
});
