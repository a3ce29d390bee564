// One technique more, without the hub: a bare held request that answers by codes, as WeChat's server does.
//
// Owns the loop of these requests. Refuses to resume by a cursor: a code says everything, and the one that is known goes along.

import { bytesOf, headBytes, TECHNIQUES } from "/push.js";

const HELD_MS = 30_000; // the server answers after 25 s
const NOTHING_YET = 408;

TECHNIQUES.wait = {
  title: "WeChat's held request",
  held: 1,
  run: async (subscription, signal) => {
    const { login } = subscription.options;
    for (;;) {
      signal.throwIfAborted();
      subscription.requests += 1;
      // A request that is held says nothing; after a moment it is taken for accepted.
      const settled = setTimeout(() => subscription.live(), 100);
      try {
        const patience = AbortSignal.any([signal, AbortSignal.timeout(HELD_MS)]);
        const response = await fetch(`/login/${login.id}/wait?last=${login.view.code}`, { cache: "no-store", signal: patience });
        const text = await response.text();
        subscription.received(headBytes(response) + bytesOf(text));
        if (!response.ok) throw new Error(text.trim());
        subscription.live();
        const { code } = JSON.parse(text);
        if (code !== NOTHING_YET) subscription.take({ id: subscription.cursor, topic: login.topic, data: text });
      } finally {
        clearTimeout(settled);
      }
    }
  },
};
