// Tests of the client in Chromium, without sharing: 1,000 messages by each technique through cuts,
// a time without network and a frozen page, and the fallback to the last technique.
//
// node pages.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { closePage, newPage, onBothModels, publish, start, stop } from "./support.mjs";
import { begin, live, numbered, open, until, untilAll } from "./driver.mjs";
import { Proxy } from "./proxy.mjs";

const MESSAGES = 1000;
// A browser has six HTTP connections for a host. Each group needs fewer.
const GROUPS = [["ws", "events", "stream", "long-poll", "script-poll"], ["eventsource", "xhr", "iframe"]];

async function everyTechnique(server, group) {
  const proxy = await Proxy.start(server.port);
  const page = await open(proxy);
  const devtools = await page.context().newCDPSession(page);
  const topic = `all-${group[0]}`;
  for (const technique of group) await begin(page, technique, { topics: topic, technique, heartbeatMs: 2000 });
  for (const technique of group) await live(page, technique, technique);
  let sent = 0;
  const say = async (count) => {
    for (const end = sent + count; sent < end; sent += 1) await publish(server, topic, `message ${sent}`);
  };
  for (let cuts = 0; cuts < 4; cuts += 1) {
    await say(100);
    proxy.cut();
    await say(50);
    await untilAll(page, sent, "after a cut");
  }
  proxy.silence();
  await say(100);
  await untilAll(page, sent, "after the connections fell silent");

  await page.context().setOffline(true);
  await until(page, "paused", () => Object.values(window.subs).every(({ subscription }) => subscription.state === "paused"));
  proxy.cut(); // a WebSocket may live on without network
  await say(100);
  await page.context().setOffline(false);
  await untilAll(page, sent, "after a time without network");

  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  await say(50);
  proxy.cut();
  await say(MESSAGES - sent);
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await untilAll(page, MESSAGES, "after the page was frozen");
  for (const technique of group) {
    const { got, gaps } = await page.evaluate((key) => window.subs[key], technique);
    assert.deepEqual(got, numbered(0, MESSAGES), technique);
    assert.equal(gaps, 0, `gaps of ${technique}`);
  }
  await page.evaluate(() => Object.values(window.subs).forEach(({ subscription }) => subscription.close()));
  await closePage(page);
  proxy.stop();
}

/** A clock that jumps means that the machine slept: the client connects again without being told. */
async function sleeps(server) {
  const proxy = await Proxy.start(server.port);
  const page = await newPage();
  await page.clock.install();
  await page.goto(`${proxy.url}plaintext`);
  await begin(page, "one", { topics: "sleep", technique: "events", answerMs: 600_000 });
  await live(page, "one", "events");
  proxy.silence(/\/events\?/); // the network has forgotten the connection, and nothing tells
  await publish(server, "sleep", "message 0");
  const before = proxy.requests.length;
  await page.clock.fastForward(30_000);
  await until(page, "the message after the sleep", () => window.subs.one.got.length === 1);
  assert.equal(proxy.requests.length, before + 1, "one request");
  await closePage(page);
  proxy.stop();
}

/** From the first technique to the last, while each is refused in turn. */
async function fallsToTheEnd(server) {
  const proxy = await Proxy.start(server.port);
  const page = await open(proxy);
  proxy.refuse(({ url }) => (/\/(ws|events|stream|long-poll)\?/.test(url) ? 502 : undefined));
  await begin(page, "modern", { topics: "end" });
  await live(page, "modern", "iframe");
  const fell = () => page.evaluate(() => window.subs.modern.states.flatMap(({ fell: left }) => left?.technique ?? []));
  assert.deepEqual(await fell(), ["ws", "events", "stream", "long-poll", "script-poll"]);
  await page.evaluate(() => window.subs.modern.subscription.close());
  // A browser in which fetch cannot stream has two techniques instead.
  await page.evaluate(() => delete Response.prototype.body);
  proxy.refuse(({ url }) => (/\/(ws|events)\?/.test(url) ? 502 : undefined));
  await begin(page, "modern", { topics: "end" });
  await live(page, "modern", "xhr");
  assert.deepEqual(await fell(), ["ws", "eventsource"]);
  await publish(server, "end", "at last");
  await until(page, "the message", () => window.subs.modern.got[0] === "at last");
  await closePage(page);
  proxy.stop();
}

/** Another origin that allows no CORS: script elements get through. With a token, in the query. */
async function otherOrigin(server) {
  const [own, other] = [await Proxy.start(server.port), await Proxy.start(server.port)];
  const page = await open(own);
  await begin(page, "far", { url: `${other.url}topics`, topics: "far", token: "s3cret" });
  await live(page, "far", "script-poll");
  await publish(server, "far", "from far");
  await until(page, "the message", () => window.subs.far.got[0] === "from far");
  const { url } = other.requests.filter(({ url: asked }) => asked.includes("/long-poll?")).at(-1);
  assert.equal(new URL(url, other.url).searchParams.get("access_token"), "s3cret");
  await closePage(page);
  own.stop();
  other.stop();
}

await onBothModels("client, pages", async (io) => {
  const server = await start("demo", io);
  for (const group of GROUPS) await everyTechnique(server, group);
  await sleeps(server);
  await fallsToTheEnd(server);
  await otherOrigin(server);
  await stop(server);
});
