// Three more techniques, without the hub: their answers have a code, as those of WeChat's server.
//
// Owns the loops of these requests: two short polls, and one request that is held. Leaves starting,
// ending and reconnecting to push.js. There is no cursor: the code is the whole state. After a login
// there are no codes any more, and the hub's polls take over.

import { bytesOf, headBytes, sleep, TECHNIQUES } from "/push.js";

const HELD_MS = 30_000; // the server answers after 25 s
const PATIENCE_MS = 5000; // for a request that is answered at once
const NOTHING_YET = 408;

/** Sends one request, takes a code that is news, and returns the answer. */
async function ask(subscription, path, patienceMs, signal) {
  const { login } = subscription.options;
  signal.throwIfAborted(); // before counting: a request that is not sent does not count
  subscription.requests += 1;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const response = await fetch(`/login/${login.id}/${path}`, { cache: "no-store", signal: patience });
  const text = await response.text();
  subscription.received(headBytes(response) + bytesOf(text));
  if (!response.ok) throw new Error(text.trim());
  subscription.live();
  const answer = JSON.parse(text);
  const isNews = answer.code !== NOTHING_YET && answer.code !== login.view.code;
  if (isNews) subscription.take({ id: subscription.cursor, topic: login.topic, data: text });
  return answer;
}

/** The server says how long to wait before the first request, and before each further one. */
const shortPoll = (path, title) => ({
  title,
  held: 0,
  run: async (subscription, signal) => {
    const { login } = subscription.options;
    if (!login) return TECHNIQUES.poll.run(subscription, signal);
    await sleep(login.first_ms[path], signal);
    for (;;) {
      const { again_ms: again } = await ask(subscription, path, PATIENCE_MS, signal);
      if (again === null) return undefined;
      await sleep(again, signal);
    }
  },
});

TECHNIQUES.taobao = shortPoll("taobao", "Taobao's short poll");
TECHNIQUES.jd = shortPoll("jd", "JD's short poll");

TECHNIQUES.wechat = {
  title: "WeChat's held request",
  held: 1,
  run: async (subscription, signal) => {
    const { login } = subscription.options;
    if (!login) return TECHNIQUES["long-poll"].run(subscription, signal);
    for (;;) {
      // A held request has no answer for a while. After 100 ms it counts as accepted.
      const settled = setTimeout(() => subscription.live(), 100);
      try {
        await ask(subscription, `wechat?last=${login.view.code}`, HELD_MS, signal);
      } finally {
        clearTimeout(settled);
      }
    }
  },
};
