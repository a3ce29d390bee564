// Tests of the demo's page in a browser: every panel receives messages, loses none when it is cut,
// and resumes after the server was away.

import assert from "node:assert/strict";
import { closePage, fitsPhone, HOSTILE, newPage, onBothModels, PATIENCE, picture, start, stop } from "./support.mjs";
import { OPEN, PANELS, read, untilBegun, untilCounting } from "./panels.mjs";

async function cut(page, keys) {
  for (const key of keys) await page.click(`article[data-key="${key}"] .cut`);
}

async function publishes(page, keys, text) {
  // `text` must have no line ends: a text field removes them.
  await page.fill("#note", text);
  await page.click("#publish button");
  const isThere = ([wanted, note]) =>
    wanted.every((key) => document.querySelector(`article[data-key="${key}"] .note`).textContent === note);
  await page.waitForFunction(isThere, [keys, text], PATIENCE);
}

/** The table and the chart have a figure for each open technique, and the costs are those of HTTP. */
async function compares(page) {
  const rows = await page.$$eval("#table tbody tr", (all) =>
    all.map((row) => ({ key: row.dataset.row, ...Object.fromEntries([...row.querySelectorAll("[data-cell]")].map(({ dataset, textContent }) => [dataset.cell, textContent])) })),
  );
  assert.deepEqual(rows.map(({ key }) => key), PANELS);
  for (const { key, p50, p99, requests, bytes, lost } of rows) {
    if (!OPEN.includes(key)) {
      assert.deepEqual([p50, p99, requests, bytes, lost], ["–", "–", "–", "–", "0"], `${key}, which is closed`);
      continue;
    }
    for (const latency of [p50, p99]) assert.match(latency, /^[\d.]+ (ms|s)$/, `${key}, latency`);
    assert.match(requests, /^[\d.]+$/, `${key}, requests`);
    // A message has 128 bytes, an envelope around them, and what the technique adds.
    assert.ok(parseFloat(bytes.replace(",", "")) > 180 && bytes.endsWith(" B"), `${key}, bytes for each message: ${bytes}`);
  }
  const cost = (key, name) => parseFloat(rows.find((row) => row.key === key)[name].replace(",", ""));
  for (const cheap of ["stream", "events", "ws"]) {
    assert.ok(cost(cheap, "bytes") < cost("long-poll", "bytes"), `a message costs less by ${cheap} than by long polling`);
    assert.ok(cost(cheap, "requests") < cost("long-poll", "requests"), `requests of ${cheap}`);
  }
  const drawn = await page.$$eval("#chart g.mark", (marks) => marks.filter((mark) => mark.getAttribute("visibility") === "visible").map((mark) => mark.textContent));
  assert.equal(drawn.length, OPEN.length, `the chart shows ${drawn}`);
}

async function check(io) {
  let server = await start("demo", io);
  const page = await newPage();
  await page.goto(server.url);
  await untilBegun(page);
  assert.deepEqual((await read(page)).map(({ key }) => key), PANELS);
  await untilCounting(page, OPEN, 20, "after 20 messages");
  assert.equal(await page.getAttribute("#model", "data-io"), io);
  await compares(page);
  assert.ok(await page.isHidden("#trouble"), "no trouble is shown");
  await picture(page, `demo-${io}`);

  await cut(page, OPEN);
  await untilCounting(page, OPEN, 20, "after a cut");

  // The sliders change the feed's pace.
  await page.locator("#rate").fill("40");
  await page.locator("#size").fill("9");
  await page.waitForFunction(async () => (await (await fetch("/stats")).json()).pace.bytes === 1024, null, PATIENCE);
  await untilCounting(page, OPEN, 80, "at 40 messages of 1,024 bytes a second");

  for (const text of HOSTILE.filter((text) => !/[\r\n]/.test(text))) await publishes(page, OPEN, text);
  assert.equal(await page.evaluate(() => window.hacked), undefined, "a script of a payload has run");

  // Two more panels are opened than there are connections. They close two others, which resume
  // without loss when they are opened again.
  for (const key of ["script-poll", "multipart"]) await page.click(`article[data-key="${key}"] .toggle`);
  const closed = (await read(page)).filter(({ state }) => state === "closed").map(({ key }) => key);
  assert.equal(closed.length, 2, `closed are ${closed}`);
  const others = PANELS.filter((key) => !closed.includes(key));
  await untilCounting(page, others, 20, "with the other two open");
  await cut(page, ["script-poll", "multipart"]);
  await untilCounting(page, others, 20, "after these were cut");
  for (const key of closed) await page.click(`article[data-key="${key}"] .toggle`);
  await untilCounting(page, closed, 20, "after they were closed for a while");

  const open = (await read(page)).filter(({ state }) => state !== "closed").map(({ key }) => key);
  // The server stops, and the page shows it. The server starts again, and the panels resume. The
  // restarted server has forgotten all messages, so each panel gets one gap.
  const { port } = server;
  await stop(server);
  await page.waitForSelector("#trouble", { state: "visible", ...PATIENCE });
  server = await start("demo", io, port);
  await page.waitForSelector("#trouble", { state: "hidden", ...PATIENCE });
  await untilCounting(page, open, 10, "after a restart", 1);

  await fitsPhone(page);
  await closePage(page);
  await stop(server);
}

const setPace = (page, perSecond, bytes) =>
  page.evaluate((pace) => fetch(`/pace?${pace}`, { method: "POST" }), `per_second=${perSecond}&bytes=${bytes}`);

/**
 * Waits until these panels have all messages that are published by now, and show that they are not
 * behind. Returns the number of gaps of each.
 */
async function untilPresent(page, keys, when) {
  const published = await page.evaluate(async () => (await (await fetch("/stats")).json()).feed.published);
  const isPresent = ([wanted, least]) =>
    window.pushlab.feeds
      .filter(({ key }) => wanted.includes(key))
      .every(({ panel: { element }, last }) => {
        const isLive = element.dataset.state === "live" && element.querySelector(".behind").textContent === "";
        return isLive && last?.seq >= least;
      });
  await page.waitForFunction(isPresent, [keys, published], PATIENCE).catch(async (error) => {
    const panels = await page.$$eval("article", (all) => all.map(({ dataset, innerText }) => `${dataset.key}: ${innerText.replaceAll("\n", " ")}`));
    throw new Error(`${when}: wanted no. ${published}, got ${JSON.stringify(panels, null, 1)}`, { cause: error });
  });
  const panels = (await read(page)).filter(({ key }) => keys.includes(key));
  for (const panel of panels) assert.equal(panel.lost, 0, `${panel.key}, lost or twice, ${when}`);
  return panels.map(({ gaps }) => gaps);
}

/**
 * At the feed's maximum pace, a panel that was cut shows how many messages it is behind, and
 * catches up.
 */
async function checkBehind(io) {
  const server = await start("demo", io);
  const page = await newPage();
  await page.goto(server.url);
  await untilCounting(page, OPEN, 5, "at the beginning");
  const toggle = async (keys) => {
    for (const key of keys) await page.click(`article[data-key="${key}"] .toggle`);
  };
  await toggle(OPEN);
  // A cut of three seconds at any size misses more than one piece of a replay. The techniques
  // with less would need too much work of the browser for 16 KiB on a small machine. Meta refresh
  // loads a page of its own for each piece.
  for (const [size, keys] of [
    [2048, ["page"]],
    [4096, ["iframe"]],
    [4096, ["poll", "multipart"]],
    [4096, ["jsonp", "long-poll"]],
    [16_384, ["stream"]],
    [16_384, ["ws"]],
    [16_384, ["events"]],
  ]) {
    const pace = `at 100 messages of ${size} bytes a second`;
    await setPace(page, 100, size);
    await toggle(keys);
    // A panel that was closed for long enough has got a gap. The cut must not add one.
    const gaps = await untilPresent(page, keys, pace);
    await cut(page, keys);
    assert.deepEqual(await untilPresent(page, keys, `after a cut ${pace}`), gaps, `gaps of ${keys}`);
    if (!keys.includes("events")) await toggle(keys);
  }

  // The network is limited to hardly more than the feed's rate.
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  const conditions = { offline: false, latency: 0, uploadThroughput: -1 };
  await network.send("Network.emulateNetworkConditions", { ...conditions, downloadThroughput: 2_500_000 });
  await cut(page, ["events"]);
  const whenBehind = await page.waitForFunction(
    () => {
      const panel = document.querySelector('article[data-key="events"]');
      const figure = (name) => panel.querySelector(`[data-is="${name}"]`).textContent;
      const text = panel.querySelector(".state").textContent;
      if (!/^catching up, [\d,]+ behind$/.test(text)) return false;
      const { requests } = window.pushlab.feeds.find(({ key }) => key === "events").figures.total;
      return { state: panel.dataset.state, latencies: ["p50", "p99"].map(figure), requests };
    },
    null,
    PATIENCE,
  );
  const { requests, ...shown } = await whenBehind.jsonValue();
  assert.deepEqual(shown, { state: "behind", latencies: ["–", "–"] }, "a panel that is behind");
  // From here on, the feed is slow. At its maximum pace, the server may rightly disconnect the panel
  // as a slow consumer: on a busy machine, the browser may read less than the feed publishes.
  await setPace(page, 10, 16_384);
  await picture(page, `demo-behind-${io}`);
  await untilPresent(page, ["events"], "after it was cut alone");
  const isMeasured = () => document.querySelector('article[data-key="events"] [data-is="p50"]').textContent !== "–";
  await page.waitForFunction(isMeasured, null, PATIENCE);
  const after = await page.evaluate(() => window.pushlab.feeds.find(({ key }) => key === "events").figures.total.requests);
  assert.equal(after, requests, "it has caught up on one connection");
  await fitsPhone(page);
  await closePage(page);
  await stop(server);
}

/** Without the token, publishing fails with a message, and the typed text stays. */
async function checkToken(io) {
  const server = await start("demo", io, 0, ["--publish-token", "a-token-for-tests"]);
  const page = await newPage();
  await page.goto(server.url);
  await page.waitForSelector("#token", { state: "visible" });
  await untilBegun(page);
  await page.fill("#note", "with a token");
  await page.click("#publish button");
  await page.waitForFunction(() => document.getElementById("published").textContent.startsWith("not published"), null, PATIENCE);
  assert.equal(await page.inputValue("#note"), "with a token");
  await page.fill("#token", "a-token-for-tests");
  await publishes(page, ["ws"], "with a token");
  await closePage(page);
  await stop(server);
}

await onBothModels("demo", async (io) => {
  await check(io);
  await checkBehind(io);
  await checkToken(io);
});
