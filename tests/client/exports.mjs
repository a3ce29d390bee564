// The package exports what its types declare, and importing it needs no page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as client from "./files/pushlab.js";

const types = await readFile(new URL("./files/pushlab.d.ts", import.meta.url), "utf8");
const declared = [...types.matchAll(/^export (?:function|const|class) (\w+)/gm)].map(([, name]) => name);
assert.deepEqual(Object.keys(client).sort(), declared.sort());
const named = /export type TechniqueName = (.*);/.exec(types)[1].split(" | ").map((name) => JSON.parse(name));
assert.deepEqual(Object.keys(client.techniques).filter((name) => name !== "shared").sort(), named.sort());
