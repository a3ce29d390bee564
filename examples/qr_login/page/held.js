// One more technique, without the hub: a held request that is answered with a code, as WeChat's
// server does.
//
// Owns the loop of these requests. Leaves starting, ending and reconnecting to push.js. There is no
// cursor: the code is the whole state, and each request sends the code that this page knows.

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
      // A held request has no answer for a while. After 100 ms it counts as accepted.
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
