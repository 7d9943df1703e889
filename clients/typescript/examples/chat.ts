/** Ask twice in one conversation, printing while it is written. Needs a server: corral serve */

import { Client, Role } from "corral-client";

const client = new Client();
const messages = [{ role: Role.ROLE_SYSTEM, content: "Answer briefly." }];
for (const question of ["What is the capital of France?", "And of Italy?"]) {
  console.log(`> ${question}`);
  messages.push({ role: Role.ROLE_USER, content: question });
  let answer = "";
  const request = { messages, sampling: { temperature: 0 } };
  for await (const { delta } of client.inference.chatStream(request)) {
    if (!delta) continue;
    process.stdout.write(delta.text);
    answer += delta.text;
  }
  console.log();
  messages.push({ role: Role.ROLE_ASSISTANT, content: answer });
}
client.close();
