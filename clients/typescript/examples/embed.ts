/** Find which of five sentences is nearest to a question. Needs a server: corral serve */

import { Capability, Client } from "corral-client";

const QUESTION = "A dog sleeps on the warm stones.";
const SENTENCES = [
  "The restaurant opens at noon.",
  "The train to Rome leaves at nine.",
  "A cat sleeps on the warm stones.",
  "Integers are closed under addition.",
  "It will rain in the afternoon.",
];

const client = new Client();
const load = { id: "embedder", source: { demo: {} }, capabilities: [Capability.CAPABILITY_EMBED] };
for await (const _ of client.models.loadModel(load)); // it ends when the model is ready
const inputs = [QUESTION, ...SENTENCES].map((text) => ({ text }));
const { embeddings } = await client.inference.embed({ model: "embedder", inputs });
await client.models.unloadModel({ id: "embedder" });
client.close();

// Vectors have length 1: the sum of products is the cosine of the angle between two.
const [question = [], ...vectors] = embeddings.map((embedding) => embedding.values);
const ranked = vectors
  .map((vector, index) => ({
    sentence: SENTENCES[index],
    likeness: vector.reduce((sum, number, at) => sum + number * question[at]!, 0),
  }))
  .sort((one, other) => other.likeness - one.likeness);
console.log(QUESTION);
for (const { likeness, sentence } of ranked) console.log(likeness.toFixed(2), sentence);
