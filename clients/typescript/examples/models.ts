/** Load a model beside the others, list them, watch it go. Needs a server: corral serve */

import { Client, LoadStage, ModelState } from "corral-client";

const client = new Client();
const load = { id: "second", source: { demo: {} }, options: { slots: 2 }, aliases: ["spare"] };
for await (const { progress } of client.models.loadModel(load)) {
  if (progress) console.log(`${LoadStage[progress.stage]} ${(progress.fraction * 100).toFixed()}%`);
}
for (const model of (await client.models.listModels({})).models) {
  const mark = model.isDefault ? "*" : " ";
  console.log(mark, model.id, ModelState[model.state], model.facts?.contextSize);
}

for await (const { snapshot, changed, removed } of client.models.watchModels({})) {
  if (snapshot) {
    console.log("watching", ...snapshot.models.map((model) => model.id));
    await client.models.unloadModel({ id: "second" });
  }
  if (changed) console.log(changed.id, ModelState[changed.state]);
  if (removed) {
    console.log(removed.id, "removed");
    break;
  }
}
client.close();
