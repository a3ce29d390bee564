// What a subscription sends and receives, as plain records that also other tabs can take.
//
// Owns the records: `{kind, attempt, technique, at, bytes}`, where `kind` is "request", "head", "body" or
// "end", and `at` is Unix time in milliseconds. A body also has `messages`, `isHeartbeat` and `isLast`.
// Leaves the sizes to meter.js.

import { Meter } from "/meter.js";
import { token } from "/pushlab.js";

/** Their responses end with the body. */
const ANSWERED = new Set(["page", "poll", "jsonp", "long-poll", "script-poll"]);
/** The heartbeats of a line stream, of server-sent events, and of a multipart stream. */
const HEARTBEAT = /^(?:[\r\n:]+|X-Heartbeat: 1\r\n)$/;

const decoder = new TextDecoder();
const tab = token("");
let attempts = 0;

/** Unix time in milliseconds, the same for all tabs of this machine. */
export const clock = () => performance.timeOrigin + performance.now();

export class Wire {
  #meter = new Meter();
  #counted = 0; // of the meter's bytes
  #seen = new WeakMap(); // by attempt: its name, and whether a part of its body has come
  #tell;

  constructor(tell) {
    this.#tell = tell;
  }

  onwire = (kind, value, attempt) => {
    const { name, signal } = attempt;
    if (!this.#seen.has(attempt)) {
      const seen = { name: `${tab} ${(attempts += 1)}`, hasBody: false };
      this.#seen.set(attempt, seen);
      signal.addEventListener("abort", () => this.#tell({ kind: "end", attempt: seen.name, technique: name, at: clock(), bytes: 0 }), { once: true });
    }
    const seen = this.#seen.get(attempt);
    this.#meter.onwire(kind, value, { name: name.replace("slow-", "") });
    const bytes = this.#meter.downBytes - this.#counted;
    this.#counted += bytes;
    const record = { kind, attempt: seen.name, technique: name, at: clock(), bytes };
    if (kind === "head" && value?.status === 304) record.isLast = true;
    if (kind === "body") {
      const text = typeof value === "number" ? "" : typeof value === "string" ? value : decoder.decode(value);
      record.messages = text.split('"id":').length - 1;
      record.isLast = ANSWERED.has(name);
      // The first part of a stream is a preface, which may look like a heartbeat.
      record.isHeartbeat = seen.hasBody && HEARTBEAT.test(text);
      seen.hasBody = true;
    }
    this.#tell(record);
  };
}
