// Tests of the page without JavaScript: in a browser whose scripts are off, the page of meta refresh
// loads itself again, goes on at its cursor, and shows each message once.
//
// The browser sends each request by itself, and the request waits until the test lets it through. So
// the test knows each page, however slow the machine is. What the browser shows is compared with
// what the server has sent. While a navigation waits, Chromium does not say what it shows: a page
// that the browser leaves before it was read is compared no further.

import assert from "node:assert/strict";
import { closePage, fitsPhone, HOSTILE, newPage, onBothModels, PATIENCE, picture, publish, start, stop } from "./support.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** What a page of meta refresh says. It runs in a browser, on what the browser or a parser has made of the page. */
function extract(page) {
  const [wait, next] = page.querySelector('meta[http-equiv="refresh"]').content.split(/;url=(.*)/);
  const messages = [...page.querySelectorAll("li")].map((item) => ({
    id: item.id,
    topic: item.querySelector("b").textContent,
    text: item.querySelector("pre").textContent,
  }));
  const gaps = [...page.querySelectorAll(".gap")].map(({ textContent }) => textContent);
  return { title: page.title, messages, gaps, wait: Number(wait), next, words: page.body.textContent };
}

/** A browser without scripts, whose requests for the page wait for `next`. */
async function refreshing(options = {}) {
  const page = await newPage({ javaScriptEnabled: false, ...options });
  const parser = await newPage();
  const waiting = [];
  let isThere = withResolvers();
  await page.route("**/page?*", (route) => {
    waiting.push(route);
    isThere.resolve(null);
  });
  /** How many pages were read while the browser showed them. */
  page.compared = 0;

  /** Waits for the browser's next request for the page, lets it through, and reads the page. */
  page.next = async () => {
    let timer;
    const late = new Promise((_, failed) => (timer = setTimeout(() => failed(new Error("the page did not load itself again")), PATIENCE.timeout)));
    await Promise.race([isThere.promise, late]).finally(() => clearTimeout(timer));
    isThere = withResolvers();
    assert.equal(waiting.length, 1, "requests for the page at a time");
    const route = waiting.shift();
    const response = await route.fetch();
    const body = await response.text();
    const loaded = page.waitForEvent("domcontentloaded", PATIENCE);
    await route.fulfill({ response, body });
    await loaded;
    const isShown = page.evaluate(`(${extract})(document)`).catch(() => null);
    const shown = await Promise.race([isShown, isThere.promise]);
    const sent = await parser.evaluate(([html, read]) => {
      const parsed = new DOMParser().parseFromString(html, "text/html");
      return new Function("page", `return (${read})(page)`)(parsed);
    }, [body, `${extract}`]);
    if (shown !== null) {
      assert.deepEqual(shown, sent, "what the browser shows of what the server has sent");
      page.compared += 1;
    }
    const url = route.request().url();
    return { ...sent, url, next: new URL(sent.next, url).href };
  };

  page.end = async () => {
    assert.ok(page.compared > 0, "the browser has left each page before it was read");
    await closePage(parser);
    await closePage(page);
  };
  return page;
}

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

const texts = ({ messages }) => messages.map(({ text }) => text);
const goTo = (page, url) => page.goto(url, { ...PATIENCE, waitUntil: "commit" });
const numbered = (from, to) => Array.from({ length: to - from }, (_, index) => `message ${from + index}`);

/** Begins to load the first page, and reads it. */
async function first(page, url) {
  const going = goTo(page, url);
  const read = await page.next();
  await going;
  return read;
}

/** With a cursor: several refreshes with messages between them, two topics, none lost and none twice. */
async function continues(server, io) {
  const page = await refreshing();
  const seen = [];
  const take = (read) => {
    seen.push(...read.messages.map(({ topic, text }) => `${topic}: ${text}`));
    return read;
  };
  const expected = [];
  const say = async (list) => {
    for (const text of list) {
      const topic = expected.length % 3 === 0 ? "one" : "two";
      await publish(server, topic, text);
      expected.push(`${topic}: ${text}`);
    }
  };
  await say(numbered(0, 3));
  let last = take(await first(page, `${server.url}topics/one,two/page?every=1&after=earliest`));
  assert.equal(last.title, "one,two");
  assert.deepEqual(seen, expected);
  // The browser's requests come by themselves. Each has the cursor that the page before it names.
  const batches = [numbered(3, 5), [], HOSTILE, numbered(5, 6), [], numbered(6, 26)];
  for (const batch of batches) {
    await say(batch);
    const read = take(await page.next());
    assert.equal(read.url, last.next, "the address that the page before named");
    assert.equal(read.wait, 1, "seconds until the next page");
    assert.deepEqual(texts(read), batch, "only what is new");
    const after = new URL(read.next).searchParams.get("after");
    if (read.messages.length > 0) assert.equal(after, read.messages.at(-1).id, "the next cursor is the last message");
    else assert.match(read.words, /No new messages\./);
    assert.deepEqual(read.gaps, []);
    last = read;
  }
  assert.deepEqual(seen, expected, "over seven pages");
  await page.end();
}

/** A page with more messages than fit loads the next one at once. */
async function catchesUp(server) {
  // A page has at most one MiB.
  const all = numbered(0, 12).map((text) => `${text} ${"x".repeat(200_000)}`);
  for (const text of all) await publish(server, "many", text);
  const page = await refreshing();
  const reads = [await first(page, `${server.url}topics/many/page?every=1&after=earliest`)];
  while (reads.at(-1).wait === 0) {
    assert.ok(reads.length < 10, "pages that load the next one at once");
    reads.push(await page.next());
    assert.equal(reads.at(-1).url, reads.at(-2).next);
  }
  assert.ok(reads.length > 1, `${reads.length} pages for 2.4 MB`);
  assert.ok(reads.flatMap(texts).join() === all.join(), "all messages, once and in order");
  await publish(server, "many", "and one more");
  assert.deepEqual(texts(await page.next()), ["and one more"]);
  await page.end();
}

/** Without a cursor: the newest messages, the same page each time, on a phone and in the dark. */
async function showsTheNewest(server, io) {
  const page = await refreshing({ ...PHONE, colorScheme: "dark" });
  const read = await first(page, `${server.url}topics/live/page?every=1`);
  assert.deepEqual(texts(read), []);
  const all = [];
  for (const text of ["first", `a long word ${"x".repeat(400)}`, ...HOSTILE]) {
    await publish(server, "live", text);
    all.push(text);
    const again = await page.next();
    assert.equal(again.url, read.url, "the same page");
    assert.deepEqual(texts(again), all);
  }
  await page.end();
}

/** With an hour between two pages, what the page shows can be looked at. */
async function looksRight(server, io) {
  for (const [name, options] of [["desktop", {}], ["phone", { ...PHONE, colorScheme: "dark" }]]) {
    const topic = `look-${name}`;
    for (const text of [...HOSTILE, `a long word ${"x".repeat(400)}`]) await publish(server, topic, text);
    const page = await newPage({ javaScriptEnabled: false, ...options });
    await page.goto(`${server.url}topics/${topic}/page?every=3600&after=earliest`);
    assert.equal(await page.locator("img, script, b b").count(), 0, "elements made from messages");
    assert.equal(await page.locator("li").count(), HOSTILE.length + 1);
    await picture(page, `meta_refresh-${io}-${name}`);
    await fitsPhone(page);
    // For a browser whose user has switched off that pages load themselves again.
    await publish(server, topic, `for the ${name}`);
    await page.click("text=Load it now");
    assert.deepEqual(await page.locator("li pre").allTextContents(), [`for the ${name}`]);
    await page.click("text=Load it now");
    assert.equal(await page.locator("li").count(), 0);
    assert.match(await page.innerText("body"), /No new messages\./);
    await closePage(page);
  }
}

/** A server that was restarted has forgotten the messages. The page says so, and goes on. */
async function tellsOfAGap(io) {
  let server = await start("demo", io);
  const page = await refreshing();
  await publish(server, "news", "before");
  assert.deepEqual(texts(await first(page, `${server.url}topics/news/page?every=1&after=earliest`)), ["before"]);
  const { port } = server;
  await stop(server);
  server = await start("demo", io, port);
  await publish(server, "news", "after");
  const read = await page.next();
  assert.equal(read.gaps.length, 1);
  assert.match(read.gaps[0], /^Messages before .+ are missing\.$/);
  assert.deepEqual(texts(read), ["after"]);
  assert.deepEqual((await page.next()).gaps, [], "a gap is told once");
  await page.end();
  await stop(server);
}

/** The demo's page leads to it, and shows no controls that would do nothing. */
async function isFound(server, io) {
  const page = await refreshing();
  await page.goto(server.url);
  assert.match(await page.innerText("body"), /This page needs JavaScript/);
  assert.equal(await page.locator("button:visible, input:visible").count(), 0, "controls that do nothing");
  await picture(page, `demo-${io}-without-scripts`);
  await page.click("noscript a", { noWaitAfter: true });
  const read = await page.next();
  assert.match(read.url, /\/topics\/feed,notes\/page\?every=2$/);
  const newest = (of) => JSON.parse(of.messages.at(-1).text).seq;
  const again = await page.next();
  assert.ok(newest(again) > newest(read), "the feed goes on");
  await page.end();
}

await onBothModels("meta_refresh", async (io) => {
  const server = await start("demo", io);
  await continues(server, io);
  await catchesUp(server);
  await showsTheNewest(server, io);
  await looksRight(server, io);
  await isFound(server, io);
  await stop(server);
  await tellsOfAGap(io);
});
