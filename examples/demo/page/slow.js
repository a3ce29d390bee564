// A slow reader of the fetch stream, as a further technique of pushlab.js: for the tour's experiment.

import { Lines, sleep, techniques } from "/pushlab.js";

export const SLOW = "slow-stream";
export const BYTES_PER_SECOND = 400;
const PIECE_BYTES = 100;

/** Reads the next part of the response only when it has taken the part before it. */
async function readSlowly(attempt) {
  const reader = (await attempt.request("stream")).body.getReader();
  const lines = new Lines();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (let at = 0; at < part.value.length; at += PIECE_BYTES) {
      await sleep((PIECE_BYTES * 1000) / BYTES_PER_SECOND, attempt.signal);
      attempt.signal.throwIfAborted();
      const piece = part.value.subarray(at, at + PIECE_BYTES);
      attempt.wire("body", piece);
      attempt.live();
      for (const line of lines.push(piece)) if (line !== "") attempt.take(JSON.parse(line));
    }
  }
}

techniques[SLOW] = { ...techniques.stream, run: readSlowly };
