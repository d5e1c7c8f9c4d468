// OpenAI's SDK for Node, unmodified: chat, tools and completions.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const model = "unigate-demo";
const client = new OpenAI({ baseURL: `${process.env.URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is unigate?" }];
const ask = { model, messages, temperature: 0 };

test("a whole answer", async () => {
  const answer = await client.chat.completions.create(ask);
  const [{ message, finish_reason }] = answer.choices;
  assert.match(message.content, /unigate/);
  assert.equal(finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.ok(answer._request_id);
});

test("a streamed answer adds up, and counts", async () => {
  const whole = await client.chat.completions.create(ask);
  const stream = client.chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
  let deltas = 0;
  stream.on("content", () => (deltas += 1));
  assert.equal(await stream.finalContent(), whole.choices[0].message.content);
  assert.ok(deltas > 5);
  assert.deepEqual((await stream.totalUsage()).total_tokens, whole.usage.total_tokens);
});

for (const stream of [false, true]) {
  test(`a tool is run by the SDK, and its result is answered (streamed: ${stream})`, async () => {
    const asked = [];
    const weather = zodFunction({
      name: "get_weather",
      description: "Get the current weather in a city",
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => {
        asked.push(city);
        return "18 degrees, sunny";
      },
    });
    const runner = client.chat.completions.runTools({
      ...ask,
      messages: [{ role: "user", content: "What is the weather in Paris?" }],
      tools: [weather],
      stream,
    });
    assert.match(await runner.finalContent(), /18/);
    assert.deepEqual(asked, ["Paris"]);
  });
}

test("a streamed tool call arrives in pieces that add up", async () => {
  const stream = client.chat.completions.stream({
    ...ask,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    tools: [zodFunction({ name: "get_weather", parameters: z.object({ city: z.string() }) })],
  });
  let pieces = 0;
  stream.on("tool_calls.function.arguments.delta", () => (pieces += 1));
  const [{ message, finish_reason }] = (await stream.finalChatCompletion()).choices;
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(message.tool_calls[0].function.parsed_arguments, { city: "Paris" });
  assert.ok(pieces > 1);
});

test("an answer follows a schema of zod's", async () => {
  const sky = z.object({ sky: z.enum(["clear", "cloudy"]), warm: z.boolean() });
  const answer = await client.chat.completions.parse({
    ...ask,
    response_format: zodResponseFormat(sky, "sky"),
  });
  sky.parse(answer.choices[0].message.parsed);
});

test("a completion, whole and streamed", async () => {
  const prompt = { model, prompt: "The server", max_tokens: 8, temperature: 0 };
  const whole = await client.completions.create(prompt);
  assert.equal(whole.usage.completion_tokens, 8);
  let text = "";
  for await (const chunk of await client.completions.create({ ...prompt, stream: true })) {
    text += chunk.choices[0].text;
  }
  assert.equal(text, whole.choices[0].text);
});

test("a stream that is aborted ends, and the next answer comes", async () => {
  const long = { ...ask, max_tokens: 4000, ignore_eos: true, stream: true };
  const stream = await client.chat.completions.create(long);
  let chunks = 0;
  for await (const _ of stream) {
    chunks += 1;
    if (chunks === 3) stream.controller.abort();
  }
  assert.ok(chunks < 1000);
  const answer = await client.chat.completions.create(ask, { signal: AbortSignal.timeout(30_000) });
  assert.match(answer.choices[0].message.content, /unigate/);
});
