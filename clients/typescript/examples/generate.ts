/** Continue a text and print it while it is written. Needs a server: corral serve */

import { Client, FinishReason } from "corral-client";

const client = new Client();
const stream = client.inference.generateStream({
  prompt: "Once upon a time, there was a",
  maxTokens: 32,
  sampling: { temperature: 0 },
});
for await (const { delta, finished } of stream) {
  if (delta) process.stdout.write(delta.text);
  if (finished) {
    const reason = FinishReason[finished.reason];
    console.log(`\n${reason} after ${finished.usage?.completionTokens} tokens`);
  }
}
client.close();
