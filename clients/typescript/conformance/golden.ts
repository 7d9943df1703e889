/** The bytes of all versions: each file is one message, named after it. */

import * as contract from "corral-client";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "./client.js";

const AT_LEAST = 60;

interface Codec {
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): { finish(): Uint8Array };
}

export function checkGolden(folder: string): string {
  const types = contract as unknown as Record<string, Codec | undefined>;
  const files = readdirSync(folder).filter((file) => file.endsWith(".binpb"));
  for (const file of files) {
    const type = types[file.split(".")[2] ?? ""];
    expect(type?.decode !== undefined, `${file}: a message this program does not know`);
    const kept = readFileSync(join(folder, file));
    const written = type.encode(type.decode(kept)).finish();
    expect(kept.equals(written), `${file} is written otherwise`);
  }
  expect(files.length >= AT_LEAST, `only ${files.length} files`);
  return `${files.length} files`;
}
