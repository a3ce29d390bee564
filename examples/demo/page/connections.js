// The HTTP connections that the pages of this origin share.
//
// A browser opens at most six HTTP/1.1 connections to a host, in all tabs together. If long-lived
// responses held all six, no other request could be sent. So the pages of this origin share four
// connections for long-lived responses, and leave two for short requests.
//
// Owns taking and releasing these four. Leaves opening the real connections to the techniques.

import { sleep } from "/pushlab.js";

export const SHARED = 4;
const AGAIN_MS = 400;

const names = Array.from({ length: SHARED }, (_, number) => `pushlab-connection-${number}`);
const taken = new Set();

// The Web Locks API shares a lock among all tabs, and frees it when its tab closes. Browsers have
// it only on pages from this machine or by HTTPS. On other pages, the connections are counted
// within one tab.
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

/**
 * Takes one of the shared connections. Returns the function that releases it. Calls `isWaiting`
 * when none is free.
 */
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
