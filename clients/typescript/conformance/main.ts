/** Performs the cases of ../../conformance/CASES.md, or, started with `overhead`, measures the
 * wrapper. */

import { appendFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { cases } from "./cases.js";
import { measureOverhead } from "./overhead.js";

/** No case may take longer. */
const CASE_TIMEOUT_MS = 30_000;

const path = process.env["CORRAL_REPORT"];
if (path) writeFileSync(path, "");
const write = (line: object) => {
  const text = `${JSON.stringify(line)}\n`;
  path ? appendFileSync(path, text) : process.stdout.write(text);
};

if (process.argv[2] === "overhead") {
  write(await measureOverhead());
  process.exit();
}
for (const [name, run] of Object.entries(cases)) {
  const outcome = await Promise.race([
    run().then(
      (detail) => ({ ok: true, detail }),
      (error: Error) => ({ ok: false, detail: String(error) }),
    ),
    setTimeout(CASE_TIMEOUT_MS, { ok: false, detail: "it hangs" }, { ref: false }),
  ]);
  write({ case: name, ...outcome });
}
process.exit(); // a call that hangs holds the process no longer
