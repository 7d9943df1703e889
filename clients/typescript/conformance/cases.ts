/** The cases, in the order of the page that describes them. */

import {
  Capability,
  CorralError,
  EmbeddingEncoding,
  FinishReason,
  LoadStage,
  ModelState,
  Role,
  status,
} from "corral-client";
import {
  connect,
  connectSecure,
  corral,
  dot,
  environment,
  expect,
  expectMetadata,
  failure,
  follow,
  greedy,
  list,
  numbers,
  read,
  scripted,
  seconds,
  STORY,
  untilIdle,
  vector,
  within,
} from "./client.js";
import { checkGolden } from "./golden.js";

const CAPITAL = "What is the capital of France?";
const SUM = "What is 7 plus 5?";
const HORSE = "🐎";

const user = (content: string) => ({ role: Role.ROLE_USER, content });

export const cases: Record<string, () => Promise<string>> = {
  async generate() {
    const answer = await corral().inference.generate(greedy(STORY, 24), within);
    expect(answer.model === "demo", `model ${answer.model}`);
    expect(answer.text.startsWith(" small lamb named"), `text ${answer.text}`);
    expect(answer.requestId !== "", "no request_id");
    const end = answer.finished && numbers(answer.finished);
    expect(end === "FINISH_REASON_LENGTH 8 24 32", `finished ${end}`);
    return answer.text;
  },

  async generate_stream() {
    const whole = await corral().inference.generate(greedy(STORY, 24), within);
    let text = "";
    let tokens = 0;
    let end: string | undefined;
    let count = 0;
    for await (const event of corral().inference.generateStream(greedy(STORY, 24), within)) {
      const { started, delta, finished } = event;
      expect((count++ === 0) === (started !== undefined), "started is not the first event, once");
      expect(end === undefined, "an event after finished");
      if (started) {
        const { model, promptTokens } = started;
        expect(model === "demo" && promptTokens === 8, `started ${model}, ${promptTokens}`);
      }
      if (delta) {
        expect(delta.completionTokens >= tokens, "completion_tokens fell");
        tokens = delta.completionTokens;
        text += delta.text;
      }
      if (finished) end = numbers(finished);
    }
    const expected = whole.finished && numbers(whole.finished);
    expect(end === expected, `finished ${end}, expected ${expected}`);
    expect(text === whole.text, `joined ${text}, expected ${whole.text}`);
    return `${tokens} tokens`;
  },

  async chat() {
    const request = { messages: [user(CAPITAL)], sampling: { temperature: 0 } };
    const { message, finished } = await corral().inference.chat(request, within);
    expect(message?.role === Role.ROLE_ASSISTANT, `role ${message?.role}`);
    expect(message.content.includes("Paris"), `content ${message.content}`);
    expect(finished?.reason === FinishReason.FINISH_REASON_EOS, `reason ${finished?.reason}`);
    return message.content;
  },

  async chat_stream() {
    const messages: { role: Role; content: string }[] = [];
    for (const [question, word] of [
      [CAPITAL, "Paris"],
      [SUM, "12"],
    ] as const) {
      messages.push(user(question));
      const request = { messages, sampling: { temperature: 0 } };
      let answer = "";
      let reason: FinishReason | undefined;
      for await (const { delta, finished } of corral().inference.chatStream(request, within)) {
        answer += delta?.text ?? "";
        reason = finished?.reason;
      }
      expect(answer.includes(word), `answer ${answer}, expected ${word}`);
      expect(reason === FinishReason.FINISH_REASON_EOS, `reason ${reason}`);
      messages.push({ role: Role.ROLE_ASSISTANT, content: answer });
    }
    return `${messages.length} turns`;
  },

  async tokenize() {
    const text = `Hello, world! héllo ${HORSE}`;
    const { inference } = corral();
    const { tokens } = await inference.tokenize({ text }, within);
    expect(tokens.length === 15, `${tokens.length} tokens`);
    const pieces = Buffer.concat(tokens.map(({ piece }) => piece));
    expect(pieces.equals(Buffer.from(text)), `pieces ${pieces.toString("hex")}`);
    const back = await inference.detokenize({ tokenIds: tokens.map(({ id }) => id) }, within);
    expect(back.text === text && back.raw.equals(Buffer.from(text)), `detokenized ${back.text}`);
    const prompt = await inference.countTokens({ prompt: text }, within);
    expect(prompt.tokens === 15 && prompt.sequenceLimit === 2048, JSON.stringify(prompt));
    const conversation = { messages: [user(SUM)] };
    const asked = await inference.countTokens({ conversation }, within);
    expect(asked.tokens === 20, `the conversation has ${asked.tokens} tokens`);
    return "15 tokens, there and back";
  },

  async embed() {
    const texts = [
      "A dog sleeps on the warm stones.",
      "A cat sleeps on the warm stones.",
      "Integers are closed under addition.",
    ];
    const inputs = texts.map((text) => ({ text }));
    const found: number[][] = [];
    for (const encoding of [
      EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT,
      EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE,
    ]) {
      const { embeddings } = await corral().inference.embed({ inputs, encoding }, within);
      const indexes = embeddings.map(({ index }) => index).join();
      expect(indexes === "0,1,2", `indexes ${indexes}`);
      const isPacked = embeddings.every(({ values }) => values.length === 0);
      const isAsked = isPacked === (encoding === EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE);
      expect(isAsked, "another encoding");
      const [first, second, third] = embeddings.map(vector);
      const [near, far] = [dot(first!, second!), dot(first!, third!)];
      expect(near > 0.6 && 0.6 > far, `likeness ${near} and ${far}`);
      found.push([...first!, ...second!, ...third!]);
    }
    const apart = Math.max(...found[0]!.map((number, at) => Math.abs(number - found[1]![at]!)));
    expect(apart <= 1e-6, `the encodings are ${apart} apart`);
    return "3 vectors, twice";
  },

  async embed_stream_1000() {
    const inputs = Array.from({ length: 1000 }, (_, number) => ({
      text: `Sentence number ${number}.`,
    }));
    const encoding = EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE;
    let messages = 0;
    let count = 0;
    let tokens: number | undefined;
    for await (const part of corral().inference.embedStream({ inputs, encoding }, within)) {
      expect(tokens === undefined, "usage before the last message");
      for (const embedding of part.embeddings) {
        expect(embedding.index === count, `index ${embedding.index}, expected ${count}`);
        vector(embedding);
        count++;
      }
      tokens = part.usage?.promptTokens;
      messages++;
    }
    expect(messages > 1 && count === 1000, `${count} vectors in ${messages} messages`);
    expect(tokens !== undefined && tokens > 1000, `${tokens} tokens`);
    return `${count} vectors in ${messages} messages`;
  },

  async utf8_split_over_tokens() {
    const request = {
      prompt: "A horse: ",
      maxTokens: 8,
      output: { tokens: true },
      sampling: {
        temperature: 0,
        frequencyPenalty: 100,
        logitBias: { 172: 1000, 253: 975, 238: 950, 236: 925 },
      },
    };
    let text = "";
    const pieces: string[] = [];
    for await (const { delta } of corral().inference.generateStream(request, within)) {
      if (!delta) continue;
      expect(delta.text.replaceAll(HORSE, "") === "", `a delta of ${delta.text}`);
      text += delta.text;
      pieces.push(...delta.tokens.map(({ piece }) => piece.toString("hex")));
    }
    expect(pieces.join(" ") === "f0 9f 90 8e f0 9f 90 8e", `pieces ${pieces.join(" ")}`);
    expect(text === HORSE + HORSE, `text ${text}`);
    return text;
  },

  async cancel_mid_stream() {
    const client = corral();
    const stop = { ignoreEos: true };
    const request = { ...greedy(STORY, 2000), stop };
    let deltas = 0;
    for await (const { delta } of client.inference.generateStream(request, within)) {
      if (delta && ++deltas === 3) break;
    }
    await untilIdle(client);
    const abort = new AbortController();
    deltas = 0;
    let thrown: unknown;
    try {
      const options = { ...within, signal: abort.signal };
      for await (const { delta } of client.inference.generateStream(request, options)) {
        if (delta && ++deltas === 3) abort.abort();
      }
    } catch (error) {
      thrown = error;
    }
    expect(thrown === abort.signal.reason && thrown !== undefined, `the abort threw ${thrown}`);
    await untilIdle(client);
    const { finished } = await client.inference.generate({ ...greedy("Hi", 4), stop }, within);
    const tokens = finished?.usage?.completionTokens;
    expect(tokens === 4, `${tokens} tokens afterwards`);
    return "left after 3 deltas, and aborted";
  },

  async deadline() {
    const client = corral();
    const request = { ...greedy(STORY, 2000), stop: { ignoreEos: true } };
    let error: unknown;
    const took = await seconds(
      client.inference
        .generate(request, { timeoutMs: 300 })
        .catch((thrown: unknown) => (error = thrown)),
    );
    const isLate = error instanceof CorralError && error.code === status.DEADLINE_EXCEEDED;
    expect(isLate, `it ended with ${error}`);
    expect(took >= 0.2 && took <= 3, `after ${took} s`);
    await untilIdle(client);
    return `after ${took.toFixed(2)} s`;
  },

  async prompt_of_one_megabyte() {
    const prompt = "corral ".repeat(150_000).slice(0, 1_048_576);
    const { inference } = corral();
    const { tokens } = await inference.countTokens({ prompt }, within);
    expect(tokens > 100_000, `${tokens} tokens`);
    const call = inference.generate(greedy(prompt), within);
    const error = await failure(call, status.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED");
    expectMetadata(error, { prompt_tokens: String(tokens), limit: "2047" });
    return `${tokens} tokens`;
  },

  async error_invalid_field() {
    const request = { prompt: "a", maxTokens: 0, sampling: { temperature: -1, topP: 3 } };
    const call = corral().inference.generate(request, within);
    const error = await failure(call, status.INVALID_ARGUMENT, "INVALID_FIELD");
    const fields = error.violations
      .map(({ field }) => field)
      .sort()
      .join();
    expect(fields === "max_tokens,sampling.temperature,sampling.top_p", fields);
    expect(
      error.violations.every(({ why }) => why !== ""),
      "a field without a why",
    );
    return error.message;
  },

  async error_model_not_found() {
    const call = corral().inference.generate({ prompt: "a", model: "nobody" }, within);
    const error = await failure(call, status.NOT_FOUND, "MODEL_NOT_FOUND");
    expectMetadata(error, { model: "nobody" });
    expect(error.message.includes("nobody"), `message ${error.message}`);
    return error.message;
  },

  async error_capability_not_supported() {
    const call = corral().inference.embed({ model: "text", inputs: [{ text: "a" }] }, within);
    const error = await failure(call, status.FAILED_PRECONDITION, "CAPABILITY_NOT_SUPPORTED");
    expectMetadata(error, { model: "text", capability: "EMBED" });
    return error.message;
  },

  async error_load_conflict() {
    const request = { id: "text", source: { demo: {} }, options: { slots: 3 } };
    const call = follow(corral().models.loadModel(request, within));
    const error = await failure(call, status.ALREADY_EXISTS, "LOAD_CONFLICT");
    expectMetadata(error, { model: "text" });
    return error.message;
  },

  async error_model_file_not_found() {
    const { models } = corral();
    const request = { id: "gone", source: { path: "/nonexistent/corral.gguf" } };
    const call = follow(models.loadModel(request, within));
    const error = await failure(call, status.NOT_FOUND, "MODEL_FILE_NOT_FOUND");
    const gone = (await list(corral())).find(({ id }) => id === "gone");
    await models.unloadModel({ id: "gone" }, within);
    expect(gone?.state === ModelState.MODEL_STATE_FAILED, `state ${gone?.state}`);
    expect(gone.error?.reason === "MODEL_FILE_NOT_FOUND", `error ${gone.error?.reason}`);
    return error.message;
  },

  async error_queue_full() {
    const call = connect("CORRAL_FLAKY_ADDRESS").inference.generate(scripted("queue-full"), within);
    const error = await failure(call, status.RESOURCE_EXHAUSTED, "QUEUE_FULL");
    expect(error.retryAfterMs === 1500, `retryAfterMs ${error.retryAfterMs}`);
    expectMetadata(error, { attempt: "1" });
    return "to come back in 1.5 s";
  },

  async unknown_enum_value() {
    const client = connect("CORRAL_FUTURE_ADDRESS");
    const { text, finished } = await client.inference.generate({ prompt: "a" }, within);
    expect(text === "from the future", `text ${text}`);
    expect(Number(finished?.reason) === 99, `reason ${finished?.reason}`);
    const [model, ...more] = await list(client);
    expect(model?.id === "future" && more.length === 0, `models ${model?.id} and ${more.length}`);
    expect(Number(model.state) === 99, `state ${model.state}`);
    const [first, second] = model.capabilities;
    expect(
      first === Capability.CAPABILITY_GENERATE && second === Capability.CAPABILITY_CHAT,
      `capabilities ${model.capabilities}`,
    );
    const call = client.inference.chat({ messages: [user("a")] }, within);
    const error = await failure(call, status.FAILED_PRECONDITION, "SOMETHING_NEW");
    expectMetadata(error, { answer: "42" });
    expect(error.message === "not yet invented", `message ${error.message}`);
    return `reason ${finished?.reason}, ${error.reason}`;
  },

  async unknown_oneof_arm() {
    const client = connect("CORRAL_FUTURE_ADDRESS");
    let events = 0;
    let joined = "";
    let hasFinished = false;
    for await (const { delta, finished } of client.inference.generateStream(
      { prompt: "a" },
      within,
    )) {
      events++;
      joined += delta?.text ?? "";
      hasFinished = finished !== undefined;
    }
    expect(joined === "from the future" && hasFinished, `joined ${joined}`);
    expect(events === 5, `${events} events, the unknown ones among them`);
    const { steps, model } = await follow(
      client.models.loadModel({ id: "future", source: { demo: {} } }, within),
    );
    expect(model.id === "future" && steps.length === 3, `${model.id} after ${steps.length} steps`);
    const seen: string[] = [];
    for await (const { snapshot, removed } of client.models.watchModels({}, within)) {
      seen.push(snapshot ? "snapshot" : removed ? `removed ${removed.id}` : "unknown");
    }
    expect(seen.join() === "snapshot,unknown,removed future", `watched ${seen}`);
    return seen.join(", ");
  },

  async retry_honours_retry_info() {
    const { inference } = connect("CORRAL_FLAKY_ADDRESS");
    let text = "";
    const once = inference.generate(scripted("unavailable-twice"), within);
    const first = await seconds(once.then((answer) => (text = answer.text)));
    let joined = "";
    const stream = read(inference.generateStream(scripted("unavailable-twice"), within));
    const second = await seconds(stream.then((answer) => (joined = answer.text)));
    expect(text === "attempt 3" && joined === "attempt 3", `${text} and ${joined}`);
    for (const took of [first, second]) expect(took >= 0.45 && took <= 10, `after ${took} s`);
    const call = inference.generate(scripted("unavailable-always"), within);
    const error = await failure(call, status.UNAVAILABLE, "ENGINE_RESTARTING");
    expectMetadata(error, { attempt: "4" });
    expect(error.retryAfterMs === 50, `retryAfterMs ${error.retryAfterMs}`);
    return `after ${first.toFixed(2)} s and ${second.toFixed(2)} s`;
  },

  async no_retry_where_unsafe() {
    const { inference } = connect("CORRAL_FLAKY_ADDRESS");
    const deltas: string[] = [];
    const midway = async () => {
      for await (const { delta } of inference.generateStream(scripted("fails-midway"), within)) {
        if (delta) deltas.push(delta.text);
      }
    };
    const broken = await failure(midway(), status.UNAVAILABLE, "ENGINE_RESTARTING");
    expect(deltas.join() === "half", `deltas ${deltas}`);
    expectMetadata(broken, { attempt: "1" });
    const call = inference.generate(scripted("hub-unavailable"), within);
    const error = await failure(call, status.UNAVAILABLE, "HUB_UNAVAILABLE");
    expectMetadata(error, { attempt: "1" });
    expect(error.retryAfterMs === 50, `retryAfterMs ${error.retryAfterMs}`);
    return "once each";
  },

  async tls_and_token() {
    const { inference } = connectSecure(environment("CORRAL_TLS_TOKEN"));
    const { text } = await inference.generate(greedy(STORY, 4), within);
    expect(text.startsWith(" small"), `text ${text}`);
    const streamed = await read(inference.generateStream(greedy(STORY, 4), within));
    expect(streamed.text === text, `joined ${streamed.text}, expected ${text}`);
    return text;
  },

  async token_refused() {
    const right = environment("CORRAL_TLS_TOKEN");
    const stranger = connectSecure("wrong").inference;
    for (const call of [
      () => connectSecure().inference.generate(greedy(STORY, 4), within),
      () => stranger.generate(greedy(STORY, 4), within),
      () => read(stranger.generateStream(greedy(STORY, 4), within)),
    ]) {
      const { message } = await failure(call(), status.UNAUTHENTICATED, "UNAUTHENTICATED");
      const tells = message.includes("wrong") || message.includes(right);
      expect(!tells, "the message has a token in it");
    }
    return "three times";
  },

  async model_lifecycle() {
    const client = corral();
    const watch = client.models.watchModels({}, within);
    const snapshot = (await watch.next()).value?.snapshot;
    const ids = snapshot?.models.map(({ id }) => id) ?? [];
    expect(ids.includes("demo") && ids.includes("text"), `snapshot of ${ids}`);

    const request = {
      id: "second",
      source: { demo: {} },
      options: { slots: 2 },
      aliases: ["spare"],
    };
    const { steps, model } = await follow(client.models.loadModel(request, within));
    const stages = steps
      .map(({ stage }) => LoadStage[stage])
      .filter((stage, at, all) => stage !== all[at - 1]);
    const expected = "LOAD_STAGE_PROBING,LOAD_STAGE_LOADING,LOAD_STAGE_WARMING";
    expect(stages.join() === expected, `stages ${stages}`);
    const isPart = steps.every(({ fraction }) => fraction >= 0 && fraction <= 1);
    expect(isPart, "a fraction out of range");
    expect(
      model.state === ModelState.MODEL_STATE_READY && model.facts?.slots === 2,
      JSON.stringify(model),
    );
    expect(
      (await list(client)).some(({ id }) => id === "second"),
      "second is not listed",
    );

    const answer = await client.inference.generate({ ...greedy("Hi", 4), model: "spare" }, within);
    expect(answer.model === "second", `spare is ${answer.model}`);
    const { remainingIds: left } = await client.models.unloadModel({ id: "second" }, within);
    expect(
      left.includes("demo") && left.includes("text") && !left.includes("second"),
      `remaining ${left}`,
    );

    let wasReady = false;
    for await (const { changed, removed } of watch) {
      if (changed?.id === "second") wasReady ||= changed.state === ModelState.MODEL_STATE_READY;
      if (removed?.id === "second") break;
    }
    expect(wasReady, "the watch did not tell that second was ready");
    const call = client.inference.generate({ ...greedy("Hi", 4), model: "second" }, within);
    await failure(call, status.NOT_FOUND, "MODEL_NOT_FOUND");
    return `${steps.length} steps`;
  },

  async golden_bytes() {
    return checkGolden(environment("CORRAL_GOLDEN"));
  },
};
