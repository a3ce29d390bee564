// Tests of the stream that tabs share, in Chromium: one stream for all, with the topics of each, and
// nothing lost or doubled while the leading tab closes, crashes or is frozen.
//
// node tabs.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { newPage, onBothModels, PATIENCE, publish, start, stop } from "./support.mjs";
import { begin, live, open, until } from "./driver.mjs";
import { Proxy } from "./proxy.mjs";

const MESSAGES = 1000;
const SIXTY = 60;

/** A tab that subscribes to its topics. It holds a lock of its own, which shows whose the leader's lock is. */
async function newTab(proxy, context, number, options) {
  const page = await open(proxy, context);
  await page.evaluate((name) => void navigator.locks.request(`test ${name}`, () => new Promise(() => {})), number);
  await begin(page, "one", { share: true, technique: "events", ...options });
  return { page, number, topics: options.topics, from: 0, devtools: await context.newCDPSession(page) };
}

/** The tab that leads. */
async function leaderOf(tabs) {
  for (;;) {
    const { held } = await tabs[0].page.evaluate(() => navigator.locks.query());
    const leading = held.find(({ name }) => name.startsWith("pushlab") && name.endsWith(" leader"))?.clientId;
    const tab = tabs.find(({ number }) => held.some(({ name, clientId }) => name === `test ${number}` && clientId === leading));
    if (leading !== undefined && tab) return tab;
  }
}

/** Waits until the server has this number of streams. It learns a little later that one was left. */
async function untilStreams(server, count, what) {
  const patience = AbortSignal.timeout(PATIENCE.timeout);
  for (let streams; streams !== count; ) {
    if (patience.aborted) assert.equal(streams, count, what);
    ({ streams } = await (await fetch(`${server.url}stats`)).json());
  }
}

/** Publishes to the topics in turn, and remembers what each topic has got. */
class Publisher {
  sent = [];

  constructor(server, topics) {
    Object.assign(this, { server, topics });
  }

  async say(count) {
    for (let more = count; more > 0; more -= 1) {
      const [topic, data] = [this.topics[this.sent.length % this.topics.length], `message ${this.sent.length}`];
      await publish(this.server, topic, data);
      this.sent.push({ topic, data });
    }
  }

  /** What a tab must have. */
  expected({ topics, from }) {
    return this.sent.slice(from).filter(({ topic }) => topics.includes(topic)).map(({ data }) => data);
  }
}

async function haveAll(tabs, publisher, when) {
  for (const tab of tabs) {
    const expected = publisher.expected(tab);
    await until(tab.page, `tab ${tab.number} ${when}, ${expected.length} messages`, (count) => window.subs.one.got.length >= count, expected.length);
    const { got, gaps } = await tab.page.evaluate(() => window.subs.one);
    assert.deepEqual(got, expected, `tab ${tab.number} ${when}`);
    assert.equal(gaps, 0, `gaps of tab ${tab.number} ${when}`);
  }
}

/** Six tabs with different topics, one after the other the leader, while messages are published. */
async function handOver(server) {
  const proxy = await Proxy.start(server.port);
  const context = (await newPage()).context();
  const topics = ["common", ...Array.from({ length: 6 }, (_, at) => `own-${at}`)];
  const publisher = new Publisher(server, topics);
  let tabs = [];
  for (let number = 0; number < 6; number += 1) tabs.push(await newTab(proxy, context, number, { topics: ["common", `own-${number}`] }));
  for (const { page } of tabs) await live(page, "one", "events");
  await untilStreams(server, 1, "streams of six tabs");
  await publisher.say(100);
  await haveAll(tabs, publisher, "at the beginning");

  const without = (tab) => tabs.filter((other) => other !== tab);
  for (const [how, end] of [
    ["closes the subscription", ({ page }) => page.evaluate(() => window.subs.one.subscription.close())],
    ["closes", ({ page }) => page.close()],
    ["crashes", ({ devtools }) => void devtools.send("Page.crash").catch(() => {})],
  ]) {
    const leader = await leaderOf(tabs);
    await publisher.say(60);
    await end(leader);
    tabs = without(leader);
    await publisher.say(90);
    await haveAll(tabs, publisher, `after the leader ${how}`);
    if (how === "closes the subscription") await leader.page.close();
  }

  // The leader is frozen. Another one leads at once, and the frozen one has everything afterwards.
  const frozen = await leaderOf(tabs);
  await frozen.devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  await publisher.say(150);
  await haveAll(without(frozen), publisher, "while the leader was frozen");
  await frozen.devtools.send("Page.setWebLifecycleState", { state: "active" });
  await haveAll(tabs, publisher, "after the leader was frozen");

  // The leader keeps its lock and says nothing: a debugger stopped it, or a script that does not end.
  const stopped = await leaderOf(tabs);
  await stopped.devtools.send("Debugger.enable");
  await stopped.devtools.send("Debugger.pause");
  const isPaused = new Promise((resolve) => stopped.devtools.once("Debugger.paused", resolve));
  stopped.page.evaluate(() => undefined).catch(() => {});
  await isPaused;
  await publisher.say(100);
  await haveAll(without(stopped), publisher, "while the leader stood still");
  await stopped.devtools.send("Debugger.disable");
  await haveAll(tabs, publisher, "after the leader stood still");

  // Connections are cut, and a tab comes that wants everything.
  await publisher.say(MESSAGES - publisher.sent.length - 100);
  proxy.cut();
  await publisher.say(50);
  tabs.push(await newTab(proxy, context, 6, { topics: ["common"], after: "earliest" }));
  await publisher.say(50);
  await haveAll(tabs, publisher, "in the end");
  await context.close();
  proxy.stop();
}

/** Sixty tabs, over the six connections of HTTP/1.1, with more topics than one stream takes. */
async function sixty(server) {
  const proxy = await Proxy.start(server.port);
  const context = (await newPage()).context();
  const topics = Array.from({ length: 20 }, (_, at) => `sixty-${at}`);
  const tabs = [];
  for (let number = 0; number < SIXTY; number += 1) tabs.push(await newTab(proxy, context, number, { topics: [topics[number % topics.length]] }));
  for (const { page } of tabs) await live(page, "one", "events");
  await untilStreams(server, 1, `streams of ${SIXTY} tabs`);
  const publisher = new Publisher(server, topics);
  await publisher.say(100);
  const leader = await leaderOf(tabs);
  await leader.page.close();
  await publisher.say(100);
  await haveAll(tabs.filter((tab) => tab !== leader), publisher, "after the leader closed");
  await context.close();
  proxy.stop();
}

/** A tab whose topics have no room in the shared stream has one of its own. Tokens are not shared. */
async function apart(server) {
  const proxy = await Proxy.start(server.port);
  const context = (await newPage()).context();
  const options = { topicsMax: 2, retryMs: [10, 100] };
  const tabs = [
    await newTab(proxy, context, 0, { ...options, topics: ["a", "b"] }),
    await newTab(proxy, context, 1, { ...options, topics: ["b"] }),
    await newTab(proxy, context, 2, { ...options, topics: ["c", "d"] }),
    await newTab(proxy, context, 3, { ...options, topics: ["b"], token: "another person" }),
  ];
  for (const { page } of tabs) await live(page, "one", "events");
  await untilStreams(server, 3, "streams");
  const publisher = new Publisher(server, ["a", "b", "c", "d"]);
  await publisher.say(40);
  await haveAll(tabs, publisher, "apart");
  await context.close();
  proxy.stop();
}

await onBothModels("client, tabs", async (io) => {
  const server = await start("demo", io);
  await apart(server);
  await handOver(server);
  await sixty(server);
  await stop(server);
});
