// Tests of the demo's page as a page that teaches: it fits a projector and a phone, everybody can read and
// use it, its experiments do what they say, and its tabs share their connections.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { closePage, fitsPhone, newPage, onBothModels, PATIENCE, picture, start, stop } from "./support.mjs";
import { OPEN, PANELS, read, untilCounting } from "./panels.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PROJECTOR = { width: 1920, height: 1080 };
const PHONE = { width: 390, height: 844 };
// An experiment waits for messages and clients, some of them for 30 s.
const STEP_PATIENCE = { timeout: 90_000 };

/** Checks the page by axe-core: contrast, names, roles, order of headings and more. */
async function isAccessible(page, when) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations: found } = await window.axe.run(document, { resultTypes: ["violations"] });
    return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, any }) => `${html.slice(0, 200)} ${any.map(({ message }) => message)}`).join(" | ")}`);
  });
  assert.deepEqual(violations, [], `axe, ${when}`);
  // axe does not compare the names of buttons.
  const names = await page.$$eval("button, a[href]", (all) => all.filter((one) => one.checkVisibility()).map((one) => one.textContent.trim()));
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), [], `names that two buttons or links have, ${when}`);
}

/** Nothing is outside of the screen, and nothing outside of its box. */
async function fitsProjector(page, when) {
  await page.setViewportSize(PROJECTOR);
  const [height, width] = await page.evaluate(() => [document.documentElement.scrollHeight, document.documentElement.scrollWidth]);
  assert.deepEqual([width, height], [PROJECTOR.width, PROJECTOR.height], `the page's size, ${when}`);
  const outside = await page.$$eval("article, article .buttons, #chart, #table, #told, #publish", (all) =>
    all.filter((one) => one.getBoundingClientRect().bottom > window.innerHeight || one.getBoundingClientRect().right > window.innerWidth).map((one) => one.id || one.className),
  );
  assert.deepEqual(outside, [], `outside of the screen, ${when}`);
  const cut = await page.$$eval("article", (all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1).map((one) => [one.dataset.key, one.scrollWidth, one.clientWidth, one.scrollHeight, one.clientHeight, one.innerText]));
  assert.deepEqual(cut, [], `panels that are too small for their text, ${when}`);
}

/** No cell of the comparison is too narrow for its text, on screens of all widths. */
async function fitsColumns(page) {
  for (const width of [PHONE.width, 769, 800, 900, 1024, 1199, 1200, 1280, 1366, 1439, 1440, PROJECTOR.width]) {
    await page.setViewportSize({ width, height: 900 });
    const narrow = await page.$$eval("#table th, #table td", (cells) =>
      cells.filter((cell) => cell.checkVisibility()).filter((cell) => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return text.getBoundingClientRect().width > cell.clientWidth + 1;
      }).map((cell) => cell.textContent),
    );
    assert.deepEqual(narrow, [], `cells that are too narrow for their text, ${width} px`);
  }
}

async function checkPage(io, colorScheme) {
  const server = await start("demo", io);
  const page = await newPage({ colorScheme, viewport: PROJECTOR, permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(server.url);
  await untilCounting(page, OPEN, 10, "at the beginning");
  await fitsProjector(page, "with all panels");
  await isAccessible(page, `${colorScheme}, projector`);
  await picture(page, `demo-projector-${colorScheme}-${io}`);

  // Each panel says what its technique is in two sentences, and leads to its source.
  for (const panel of await page.$$("article")) {
    const [what, source] = [await panel.$eval(".what", (one) => one.textContent), await panel.$eval(".source", (one) => one.href)];
    assert.equal(what.match(/[a-z)]\.(?= |$)/g).length, 2, `sentences of: ${what}`);
    const answer = await fetch(source);
    assert.equal(answer.status, 200, source);
    assert.match(await answer.text(), /pub\(crate\) const TECHNIQUE: Technique/, source);
  }
  // A large panel, the explanation, and a closed panel.
  await page.click('article[data-key="page"] .enlarge');
  await fitsProjector(page, "with a large panel");
  assert.deepEqual(await page.$$eval("article", (all) => all.filter((one) => one.checkVisibility()).map(({ dataset }) => dataset.key)), ["page"]);
  await isAccessible(page, `${colorScheme}, a large panel`);
  await page.keyboard.press("Escape");
  await page.click("#how");
  await isAccessible(page, `${colorScheme}, the explanation`);
  await page.keyboard.press("Escape");
  for (const key of OPEN) await page.click(`article[data-key="${key}"] .toggle`);
  await page.waitForFunction(() => [...document.querySelectorAll("article")].every(({ dataset }) => dataset.state === "closed"), null, PATIENCE);
  await isAccessible(page, `${colorScheme}, closed panels`);
  for (const key of OPEN) await page.click(`article[data-key="${key}"] .toggle`);
  await untilCounting(page, OPEN, 5, "after all were closed");

  await fitsColumns(page);
  await page.setViewportSize(PHONE);
  await picture(page, `demo-phone-${colorScheme}-${io}`);
  await isAccessible(page, `${colorScheme}, phone`);
  const tops = await page.$$eval("#comparison, #tour, article", (all) => all.map((one) => one.getBoundingClientRect().top));
  assert.deepEqual(tops, tops.toSorted((one, other) => one - other), "on a phone, one part stands below the other, and the comparison first");
  const widths = await page.$$eval("article", (all) => all.map((one) => one.getBoundingClientRect().width));
  assert.ok(widths.every((width) => width > PHONE.width * 0.85), `widths of panels on a phone: ${widths}`);
  await fitsPhone(page);
  await closePage(page);
  await stop(server);
}

/** Buttons keep the focus, and a panel's command does what the panel does. */
async function checkButtons(io) {
  const server = await start("demo", io);
  const page = await newPage({ permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(server.url);
  await untilCounting(page, OPEN, 5, "at the beginning");
  const focused = () => page.evaluate(() => document.activeElement.closest("article")?.dataset.key + " " + document.activeElement.className);
  const cut = page.locator('article[data-key="events"] .cut');
  await cut.focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector('article[data-key="events"][data-state="cut"]');
  assert.equal(await focused(), "events cut", "the focus during a cut");
  await untilCounting(page, ["events"], 5, "after the cut");
  assert.equal(await focused(), "events cut", "the focus after a cut");

  for (const key of PANELS) {
    await page.click(`article[data-key="${key}"] .copy`);
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(command.startsWith("curl -N ") && command.includes(`${server.url}topics/feed,notes/`), command);
    // The command of an answer without end is stopped after a while.
    const got = await new Promise((done) => execFile("sh", ["-c", command], { timeout: 3000, encoding: "latin1" }, (_, stdout) => done(stdout)));
    assert.match(got, /\\"seq\\":|&quot;seq&quot;:|"seq":/, `${key}: ${command}`);
  }
  await closePage(page);
  await stop(server);
}

/** The timing diagrams draw what really goes over the wire: requests, answers, messages, heartbeats and ends. */
async function checkDiagrams(io) {
  const server = await start("demo", io, 0, ["--heartbeat", "1"]);
  const page = await newPage();
  await page.goto(server.url);
  await untilCounting(page, OPEN, 10, "at the beginning");
  const draws = (key, ...kinds) =>
    page.waitForFunction(([of, wanted]) => wanted.every((kind) => document.querySelector(`article[data-key="${of}"] [data-kind="${kind}"]`).getAttribute("d") !== ""), [key, kinds], PATIENCE);
  const has = (key, kind) => page.$eval(`article[data-key="${key}"] [data-kind="${kind}"]`, (path) => path.getAttribute("d") !== "");
  for (const key of ["page", "poll", "jsonp", "long-poll"]) await draws(key, "request", "message");
  for (const key of ["long-poll", "iframe", "stream", "events", "ws"]) await draws(key, "held", "message");

  // Without news, polls get empty answers and streams get heartbeats.
  await page.evaluate(() => fetch("/pace?per_second=0", { method: "POST" }));
  for (const key of ["page", "poll", "jsonp"]) await draws(key, "request", "empty");
  for (const key of ["stream", "events"]) await draws(key, "held", "heartbeat");
  await page.click('article[data-key="multipart"] .toggle');
  await draws("multipart", "held", "heartbeat");
  for (const key of ["iframe", "ws"]) {
    assert.ok(!(await has(key, "heartbeat")), `${key} shows heartbeats that a script cannot see`);
    assert.match(await page.textContent(`article[data-key="${key}"] .quiet`), /^scripts see no /);
  }
  await page.waitForFunction(() => document.querySelector('article[data-key="ws"] [data-kind="message"]').getAttribute("d") === "", null, PATIENCE);
  assert.ok(!(await has("ws", "request")) && !(await has("stream", "request")), "what is open sends no request");
  await page.click('article[data-key="events"] .cut');
  await draws("events", "end");
  await closePage(page);
  await stop(server);
}

/** Does an experiment, and returns what it tells. */
async function experiment(page, step) {
  await page.click(`[data-step="${step}"]`);
  await page.waitForFunction((key) => document.getElementById("told").dataset.step === key && document.getElementById("told").dataset.state === "done", step, STEP_PATIENCE);
  await fitsProjector(page, `after the experiment ${step}`);
  return page.textContent("#told");
}

async function checkTour(io) {
  const server = await start("demo", io);
  const page = await newPage({ viewport: PROJECTOR });
  await page.goto(server.url);
  await untilCounting(page, OPEN, 10, "at the beginning");
  const stats = async () => (await fetch(`${server.url}stats`)).json();

  const arrivals = await experiment(page, "send");
  assert.equal(arrivals.match(/ [\d.]+ m?s\b/g).length, OPEN.length, arrivals);

  const silence = await experiment(page, "silence");
  assert.match(silence, /Short polling \d+ \([\d,]+ B\)/);
  assert.match(silence, /Without a request waited: .*WebSocket/);
  assert.equal((await stats()).pace.per_second, 5, "the feed goes on");

  assert.match(await experiment(page, "cut"), /^Server-sent events missed \d+ messages.* No message was lost/);

  const [, slow] = /^Fetch streaming was (\d+) messages behind, and has caught up/.exec(await experiment(page, "slow"));
  assert.ok(Number(slow) > 0, "a slow reader falls behind");

  // While six long connections are taken, no request leaves; the WebSocket receives.
  const seventh = await experiment(page, "seventh");
  const [, waited, polled, pushed] = /^The short request was answered after ([\d.]+ s),.* short polling got ([\d,]+) messages.* got ([\d,]+)\.$/.exec(seventh);
  assert.ok(parseFloat(waited) >= 5, `the request waited for ${waited}`);
  assert.ok(Number(pushed) > Number(polled), seventh);

  const other = io === "threads" ? "event-loop" : "threads";
  const began = (await stats()).uptime_seconds;
  const model = await experiment(page, "model");
  assert.match(model, /All 8 techniques came back by their cursors.* No message was lost/);
  const after = await stats();
  assert.equal(after.io, other, "the server's model");
  assert.ok(after.uptime_seconds > began && after.io_seconds < after.uptime_seconds, "the same process");
  await page.waitForSelector(`#model[data-io="${other}"]`);
  await isAccessible(page, "after the experiments");
  await experiment(page, "model");
  assert.equal((await stats()).io, io, "and back");
  await untilCounting(page, OPEN, 10, "after all experiments");
  await closePage(page);
  await stop(server);
}

/** Six tabs need no more long connections than one, and a tab goes on when the one with the connections closes. */
async function checkTabs(io) {
  const server = await start("demo", io);
  const first = await newPage();
  await first.goto(server.url);
  await untilCounting(first, OPEN, 5, "the first tab");
  const open = async () => (await (await fetch(`${server.url}topics/feed`)).json()).subscribers;
  const alone = await open();
  const others = [];
  for (let count = 0; count < 5; count += 1) {
    const page = await first.context().newPage();
    page.setDefaultTimeout(PATIENCE.timeout);
    await page.goto(server.url);
    others.push(page);
    await untilCounting(page, OPEN, 5, `tab ${count + 2}`);
  }
  const second = others[0];
  await second.bringToFront();
  await second.waitForFunction(() => /^Another tab holds the connections of .*Server-sent events.*WebSocket\. This tab joins/.test(document.getElementById("tabs").textContent), null, PATIENCE);
  assert.equal(await second.textContent('[data-row="ws"] .state'), "joined");
  for (const name of ["stream", "iframe", "events", "ws"]) assert.equal((await open())[name] ?? 0, alone[name] ?? 0, `${name}: subscribers of six tabs`);
  // The diagrams and the costs of the second tab are those of the connection that it has joined.
  const joined = await second.evaluate(() => window.pushlab.feeds.filter(({ key }) => ["events", "ws"].includes(key)).map(({ figures }) => figures.read()));
  for (const { messages, bytesPerMessage } of joined) assert.ok(messages > 0 && bytesPerMessage > 128, "bytes of a joined stream");
  await picture(second, `demo-second-tab-${io}`);

  // What a tab opens, closes and cuts, it does for all.
  await second.click('article[data-key="events"] .cut');
  await first.waitForSelector('article[data-key="events"][data-state="cut"]');
  await untilCounting(first, ["events"], 5, "the first tab, after the second has cut");
  await second.click('article[data-key="multipart"] .toggle');
  await first.waitForSelector('article[data-key="multipart"][data-state="live"]');
  const before = (await read(first)).filter(({ state }) => state === "live").map(({ key }) => key);
  assert.ok(before.includes("multipart") && before.length === OPEN.length, `open in the first tab: ${before}`);

  await first.close();
  await untilCounting(second, before, 20, "the second tab, after the first has closed");
  assert.deepEqual(first.errors, [], "errors in the first tab's scripts");
  await second.context().close();
  await stop(server);
}

/**
 * Looks at the panels many times, in the page. Returns what a panel shows wrongly: that it is live although it
 * lacks a message which another panel had long before, or a latency while it is behind.
 */
async function lies() {
  const [found, known] = [[], []]; // `known` is the newest number of any panel, and when it was known
  const graceMs = (group) => (group === "asks" ? 3000 : 1000) + 200; // the page says how long a message may take
  const text = (element, selector) => element.querySelector(selector).textContent;
  for (let look = 0; look < 40; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = performance.now();
    known.push({ at: now, seq: Math.max(...window.pushlab.feeds.map(({ last }) => last?.seq ?? 0)) });
    window.pushlab.render();
    for (const { key, fact, last, panel } of window.pushlab.feeds.filter((feed) => feed.isOpen && feed.last)) {
      const [state, words] = [panel.element.dataset.state, text(panel.element, ".state")];
      const before = known.findLast(({ at }) => at < now - graceMs(fact.group))?.seq ?? 0;
      if (state === "live" && last.seq < before) found.push(`${key} is shown as live, has no. ${last.seq}, and no. ${before} was known`);
      if (state === "behind" && !/catching up, [1-9][\d,]* behind/.test(words)) found.push(`${key} is behind, and says ${words}`);
      if (state === "behind" && text(panel.element, '[data-is="p50"]') !== "–") found.push(`${key} is behind, and shows a latency`);
    }
  }
  return found;
}

/** At the feed's maximum a panel is present, or says how far behind it is. If the machine is too slow, the page says so. */
async function checkMaximum(io) {
  const server = await start("demo", io);
  const page = await newPage({ viewport: PROJECTOR });
  await page.goto(server.url);
  await untilCounting(page, OPEN, 5, "at the beginning");
  await page.locator("#rate").fill("100");
  await page.locator("#size").fill("21");
  await page.waitForFunction(async () => (await (await fetch("/stats")).json()).pace.bytes === 16_384, null, PATIENCE);
  assert.deepEqual(await page.evaluate(lies), []);
  await fitsProjector(page, "at the maximum");
  await picture(page, `demo-maximum-${io}`);
  assert.deepEqual((await read(page)).map(({ lost }) => lost), PANELS.map(() => 0), "lost or twice");
  // Panels that catch up would keep a small machine busy for minutes.
  for (const key of OPEN) await page.click(`article[data-key="${key}"] .toggle`);
  await page.evaluate(() => fetch("/pace?per_second=5&bytes=128", { method: "POST" }));
  await page.waitForFunction(() => document.getElementById("lag").hidden, null, STEP_PATIENCE);

  // A script that keeps the browser busy makes the page say so.
  const blocking = page.evaluate(() => {
    const end = performance.now() + 4000;
    const block = () => {
      for (const until = performance.now() + 700; performance.now() < until; );
      if (performance.now() < end) setTimeout(block, 20);
    };
    block();
  });
  await page.waitForFunction(() => document.getElementById("lag").textContent.startsWith("This browser is"), null, PATIENCE);
  await blocking;
  await page.waitForFunction(() => document.getElementById("lag").hidden, null, PATIENCE);
  await closePage(page);
  await stop(server);
}

await onBothModels("teaching", async (io) => {
  for (const colorScheme of ["light", "dark"]) await checkPage(io, colorScheme);
  await checkButtons(io);
  await checkDiagrams(io);
  await checkTour(io);
  await checkTabs(io);
  await checkMaximum(io);
});
