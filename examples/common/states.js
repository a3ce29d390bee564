// The states of a subscription of pushlab.js, in words for a page.

/** What `onstate` told, in words. */
export function wordsOf(state, { pauseMs } = {}) {
  if (state === "down") return `again in ${(pauseMs / 1000).toFixed(1)} s`;
  return state === "paused" ? "the network is away" : state;
}
