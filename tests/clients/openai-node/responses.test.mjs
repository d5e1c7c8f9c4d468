// OpenAI's SDK for Node, unmodified: responses.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const model = "unigate-demo";
const client = new OpenAI({ baseURL: `${process.env.URL}/v1`, apiKey: "none", maxRetries: 0 });
const ask = { model, input: "What is unigate?", temperature: 0 };

test("a whole response, retrieved and deleted", async () => {
  const response = await client.responses.create(ask);
  assert.match(response.output_text, /unigate/);
  assert.equal(response.status, "completed");
  assert.equal((await client.responses.retrieve(response.id)).output_text, response.output_text);
  await client.responses.delete(response.id);
  await assert.rejects(client.responses.retrieve(response.id), OpenAI.NotFoundError);
});

test("a streamed response adds up", async () => {
  const stream = client.responses.stream(ask);
  let text = "";
  stream.on("response.output_text.delta", ({ delta }) => (text += delta));
  const response = await stream.finalResponse();
  assert.match(text, /unigate/);
  assert.equal(response.output_text, text);
  assert.ok(response.usage.output_tokens > 5);
});

test("a streamed call of a function, and its result", async () => {
  const input = [{ role: "user", content: "What is the weather in Paris?" }];
  const tools = [zodResponsesFunction({ name: "get_weather", parameters: z.object({ city: z.string() }) })];
  const { output } = await client.responses.stream({ ...ask, input, tools }).finalResponse();
  const call = output.find((item) => item.type === "function_call");
  assert.deepEqual(call.parsed_arguments, { city: "Paris" });
  const result = { type: "function_call_output", call_id: call.call_id, output: "18 degrees, sunny" };
  const answer = await client.responses.create({ ...ask, input: [...input, call, result], tools });
  assert.match(answer.output_text, /18/);
});

test("a response continues another", async () => {
  const first = await client.responses.create({ ...ask, input: "Hello, my name is Ludmilla" });
  const second = await client.responses.create({
    ...ask,
    input: "Do you still know my name?",
    previous_response_id: first.id,
  });
  assert.match(second.output_text, /Ludmilla/);
});

test("a response follows a schema of zod's", async () => {
  const sky = z.object({ sky: z.enum(["clear", "cloudy"]), warm: z.boolean() });
  const response = await client.responses.parse({ ...ask, text: { format: zodTextFormat(sky, "sky") } });
  sky.parse(response.output_parsed);
});
