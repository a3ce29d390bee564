// Three more techniques, without the hub: their answers have a code, as those of WeChat's server.
//
// Owns the loops of these requests: two short polls, and one request that is held. Leaves starting,
// ending and reconnecting to pushlab.js. There is no cursor: the code is the whole state. The option
// `login` is the page's login, and `oncode` gets the text of an answer with news. After a login there
// are no codes any more, and the hub's polls take over.

import { sleep, techniques } from "/pushlab.js";
import "/older.js";

const HELD_MS = 30_000; // the server answers after 25 s
const PATIENCE_MS = 5000; // for a request that is answered at once
const SETTLED_MS = 100; // a held request has no answer for a while; after this time it counts as accepted
const NOTHING_YET = 408;

/** Sends one request, hands on a code that is news, and returns the answer. */
async function ask(attempt, path, patienceMs) {
  const { login, oncode } = attempt.options;
  attempt.signal.throwIfAborted(); // before it is noted: a request that is not sent does not count
  attempt.expect(patienceMs);
  const url = `/login/${login.id}/${path}`;
  attempt.wire("request", url);
  const response = await fetch(url, { cache: "no-store", signal: attempt.signal });
  const text = await response.text();
  attempt.wire("head", response);
  attempt.wire("body", text);
  if (!response.ok) throw new Error(text.trim());
  attempt.live();
  const answer = JSON.parse(text);
  if (answer.code !== NOTHING_YET && answer.code !== login.view.code) oncode(text);
  return answer;
}

async function pause(attempt, ms) {
  attempt.expect(ms + PATIENCE_MS);
  await sleep(ms, attempt.signal);
}

/** The server says how long to wait before the first request, and before each further one. */
const shortPoll = (path, title) => ({
  title,
  held: 0,
  works: () => true,
  run: async (attempt) => {
    const { login } = attempt.options;
    if (!login) return techniques.poll.run(attempt);
    await pause(attempt, login.first_ms[path]);
    for (;;) {
      const { again_ms: again } = await ask(attempt, path, PATIENCE_MS);
      if (again === null) return undefined;
      await pause(attempt, again);
    }
  },
});

techniques.taobao = shortPoll("taobao", "Taobao's short poll");
techniques.jd = shortPoll("jd", "JD's short poll");

techniques.wechat = {
  title: "WeChat's held request",
  held: 1,
  works: () => true,
  run: async (attempt) => {
    const { login } = attempt.options;
    if (!login) return techniques["long-poll"].run(attempt);
    for (;;) {
      const settled = setTimeout(() => attempt.live(), SETTLED_MS);
      try {
        await ask(attempt, `wechat?last=${login.view.code}`, HELD_MS);
      } finally {
        clearTimeout(settled);
      }
    }
  },
};
