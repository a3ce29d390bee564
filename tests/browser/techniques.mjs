// Tests of every technique in a browser: each message arrives once, in order and unchanged, also
// across a cut and a change of technique.

import assert from "node:assert/strict";
import { closePage, HOSTILE, newPage, onBothModels, PATIENCE, publish, start, stop } from "./support.mjs";

// A browser has six HTTP connections for a host. Each group needs fewer.
const GROUPS = [
  ["page", "poll", "jsonp", "long-poll", "stream", "iframe", "events", "ws"],
  ["script-poll", "multipart"],
];

const numbered = (from, to) => Array.from({ length: to - from }, (_, index) => `message ${from + index}`);

/**
 * Opens a subscription by each of these techniques. `window.got` has the messages of each
 * technique.
 */
const subscribe = (page, techniques, topic) =>
  page.evaluate(
    async ([keys, name]) => {
      const client = await import("/pushlab.js");
      await import("/older.js");
      window.got = Object.fromEntries(keys.map((key) => [key, []]));
      window.gaps = 0;
      window.begin = (key, after) =>
        client.subscribe("/topics", {
          ...{ topics: name, technique: key, after, everyS: 1, client: client.token(), retryMs: [100, 4000] },
          onmessage: ({ data }) => window.got[key].push(data),
          ongap: () => (window.gaps += 1),
        });
      window.subscriptions = keys.map((key) => window.begin(key));
    },
    [techniques, topic],
  );

const untilLive = (page) => page.waitForFunction(() => window.subscriptions.every(({ state }) => state === "live"), null, PATIENCE);

async function untilAll(page, count, when) {
  const isThere = (wanted) => Object.values(window.got).every((messages) => messages.length >= wanted);
  await page.waitForFunction(isThere, count, PATIENCE).catch(async (error) => {
    const got = await page.evaluate(() => Object.fromEntries(Object.entries(window.got).map(([key, messages]) => [key, messages.length])));
    throw new Error(`${when}: wanted ${count} messages each, got ${JSON.stringify(got)}`, { cause: error });
  });
}

async function eachGot(page, expected, when) {
  for (const [key, messages] of Object.entries(await page.evaluate(() => window.got))) {
    assert.deepEqual(messages, expected, `${key}, ${when}`);
  }
  assert.equal(await page.evaluate(() => window.gaps), 0, `gaps, ${when}`);
  assert.equal(await page.evaluate(() => window.hacked), undefined, `a script of a payload has run, ${when}`);
}

async function onceAndInOrder(server, techniques) {
  const page = await newPage();
  // This page has the server's origin, and no scripts of its own.
  await page.goto(`${server.url}plaintext`);
  const topic = `test-${techniques[0]}`;
  await subscribe(page, techniques, topic);
  await untilLive(page);
  for (const text of numbered(0, 20)) await publish(server, topic, text);
  await untilAll(page, 20, "after 20 messages");

  // Messages that are published during the cut must arrive after it.
  await page.evaluate(() => window.subscriptions.forEach((subscription) => subscription.close()));
  for (const text of numbered(20, 30)) await publish(server, topic, text);
  await page.evaluate((keys) => {
    window.subscriptions = window.subscriptions.map(({ cursor }, at) => window.begin(keys[at], cursor));
  }, techniques);
  await untilAll(page, 30, "after a cut");
  for (const text of numbered(30, 40)) await publish(server, topic, text);
  await untilAll(page, 40, "after coming back");

  await page.context().setOffline(true);
  for (const text of numbered(40, 50)) await publish(server, topic, text);
  await page.context().setOffline(false);
  await untilAll(page, 50, "after a time without network");

  for (const text of HOSTILE) await publish(server, topic, text);
  await untilAll(page, 50 + HOSTILE.length, "after hostile payloads");
  await eachGot(page, [...numbered(0, 50), ...HOSTILE], "in the end");
  await page.evaluate(() => window.subscriptions.forEach((subscription) => subscription.close()));
  await closePage(page);
}

/**
 * A subscription that is closed in its message hook takes no further message, keeps its cursor
 * there, and sends no further request.
 */
async function closesAtMessage(server, techniques) {
  const page = await newPage();
  await page.goto(`${server.url}plaintext`);
  const topic = `close-${techniques[0]}`;
  const [first] = [await publish(server, topic, "first"), await publish(server, topic, "second")];
  const ended = await page.evaluate(
    async ([keys, name]) => {
      const client = await import("/pushlab.js");
      await import("/older.js");
      const end = (key) =>
        new Promise((closed) => {
          const got = [];
          let asked = 0;
          const subscription = client.subscribe("/topics", {
            ...{ topics: name, technique: key, after: "earliest", everyS: 1 },
            onmessage: ({ data }) => {
              got.push(data);
              subscription.close();
              asked = 0;
              // A subscription that continues to send requests sends one in this time.
              setTimeout(() => closed({ key, got, cursor: subscription.cursor, asked }), 1500);
            },
            onwire: (kind) => (asked += kind === "request" ? 1 : 0),
          });
        });
      return Promise.all(keys.map(end));
    },
    [techniques, topic],
  );
  assert.deepEqual(ended, techniques.map((key) => ({ key, got: ["first"], cursor: first, asked: 0 })));
  await closePage(page);
}

/**
 * One client reads two topics with one cursor by server-sent events, then long polling, then
 * WebSocket, during publishing.
 */
async function changesTechnique(server) {
  const page = await newPage();
  await page.goto(`${server.url}plaintext`);
  const seen = [];
  await page.exposeFunction("seen", (topic, data) => seen.push(`${topic} ${data}`));
  const expected = [];
  const say = async (from, to) => {
    for (const text of numbered(from, to)) {
      const topic = expected.length % 2 === 0 ? "one" : "two";
      await publish(server, topic, text);
      expected.push(`${topic} ${text}`);
    }
  };
  await page.evaluate(() => (window.cursor = undefined));
  for (const [turn, technique] of ["events", "long-poll", "ws"].entries()) {
    await page.evaluate(
      async (key) => {
        const { subscribe: begin } = await import("/pushlab.js");
        window.count = 0;
        const onmessage = ({ topic, data }) => (window.seen(topic, data), (window.count += 1));
        window.subscription = begin("/topics", { topics: ["one", "two"], technique: key, after: window.cursor, onmessage });
      },
      technique,
    );
    await page.waitForFunction(() => window.subscription.state === "live", null, PATIENCE);
    await say(turn * 10, turn * 10 + 5);
    await page.waitForFunction((wanted) => window.count >= wanted, turn === 0 ? 5 : 10, PATIENCE);
    await page.evaluate(() => {
      window.subscription.close();
      window.cursor = window.subscription.cursor;
    });
    // These messages are published while no subscription is open.
    if (turn < 2) await say(turn * 10 + 5, turn * 10 + 10);
  }
  assert.deepEqual(seen, expected, "over three techniques and two topics");
  await closePage(page);
}

await onBothModels("techniques", async (io) => {
  const server = await start("demo", io);
  for (const techniques of GROUPS) {
    await onceAndInOrder(server, techniques);
    await closesAtMessage(server, techniques);
  }
  await changesTechnique(server);
  await stop(server);
});
