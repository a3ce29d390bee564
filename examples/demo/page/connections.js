// A browser opens at most six HTTP/1.1 connections to a host, over all its tabs. Whoever holds all six can ask nothing more: so the pages
// of this origin share four for what lasts, and leave two for what is answered at once.

import { sleep } from "/push.js";

export const SHARED = 4;
const AGAIN_MS = 400;

const names = Array.from({ length: SHARED }, (_, number) => `pushlab-connection-${number}`);
const taken = new Set();

// A lock is known to all tabs, and is free again when its tab is closed. Browsers offer it to pages that came from this machine or by
// HTTPS; others count in this tab alone.
function tryTake(name) {
  if (navigator.locks) {
    return new Promise((resolve) => {
      navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? new Promise((release) => resolve(release)) : resolve(null)));
    });
  }
  if (taken.has(name)) return null;
  taken.add(name);
  return () => taken.delete(name);
}

/** One of the shared connections. Returns what gives it back; `isWaiting` is called when there is none yet. */
export async function takeConnection(signal, isWaiting) {
  for (;;) {
    for (const name of names) {
      const release = await tryTake(name);
      if (release && signal.aborted) release();
      signal.throwIfAborted();
      if (release) return release;
    }
    isWaiting();
    await sleep(AGAIN_MS, signal);
    signal.throwIfAborted();
  }
}
