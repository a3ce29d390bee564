// The demo's page as its reader sees it: every panel counts, loses nothing, and comes back after the server was away.
//
// node page.mjs DEMO PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chromium } from "playwright-core";

const [demo, pictures, ...asked] = process.argv.slice(2);
const IO_MODELS = asked.length > 0 ? asked : ["event-loop", "threads"];
const PANELS = ["stream", "events", "poll", "ws"];
// No figure is judged by its time: these are only to end a test that hangs.
const PATIENCE = { timeout: 30_000 };
const CHROMIUM = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Starts the demo and waits until it prints its address. */
async function start(io, port) {
  const child = spawn(demo, ["--io", io, "--listen", `127.0.0.1:${port}`], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const address = await new Promise((found, failed) => {
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      printed += text;
      const match = printed.match(/http:\/\/127\.0\.0\.1:(\d+)\//);
      if (match) found(match);
    });
    child.on("exit", (code) => failed(new Error(`the demo (${io}) ended with ${code} before it printed an address`)));
  });
  return { child, url: address[0], port: address[1] };
}

/** Ctrl-C; the exit code must be 0 although the page's streams are open. */
async function stop(server) {
  server.child.kill("SIGINT");
  const [code] = await once(server.child, "exit");
  children.delete(server.child);
  assert.equal(code, 0, "the demo's exit code after Ctrl-C");
}

/** Waits until every panel is live and has got `more` messages from now on, then returns what the panels say. */
async function untilAllCount(page, more) {
  const before = await read(page);
  const least = Object.fromEntries(before.map((panel) => [panel.key, panel.received + more]));
  await page.waitForFunction(
    (wanted) =>
      [...document.querySelectorAll("article")].every((panel) => {
        const received = Number(panel.querySelector("dd").textContent);
        return panel.querySelector(".words").textContent === "live" && received >= wanted[panel.dataset.key];
      }),
    least,
    PATIENCE,
  );
  return read(page);
}

const read = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("article")].map((panel) => {
      const [received, lostAndTwice] = [...panel.querySelectorAll("dd")].map((figure) => figure.textContent);
      return { key: panel.dataset.key, received: Number(received), lostAndTwice };
    }),
  );

function nothingLost(panels, when) {
  assert.deepEqual(panels.map((panel) => panel.key), PANELS);
  for (const panel of panels) assert.equal(panel.lostAndTwice, "0 / 0", `${panel.key}, lost / twice, ${when}`);
}

async function check(browser, io) {
  let server = await start(io, 0);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));

  await page.goto(server.url);
  nothingLost(await untilAllCount(page, 20), "after 20 messages");
  assert.equal(await page.getAttribute("#model", "data-io"), io);
  assert.ok(await page.isHidden("#trouble"), "no trouble is shown");
  await page.screenshot({ path: `${pictures}/${io}.png` });

  // The slider is the page's own way to the feed's rate.
  await page.locator("#rate").fill("40");
  nothingLost(await untilAllCount(page, 40), "at 40 messages a second");

  // Without a network for a moment, every technique resumes where it was.
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  nothingLost(await untilAllCount(page, 20), "after a cut");

  // The server goes away, and the page says so; it comes back, and so do the panels.
  const { port } = server;
  await stop(server);
  await page.waitForSelector("#trouble", { state: "visible", ...PATIENCE });
  server = await start(io, port);
  await page.waitForSelector("#trouble", { state: "hidden", ...PATIENCE });
  nothingLost(await untilAllCount(page, 10), "after a restart");

  await page.setViewportSize({ width: 360, height: 740 });
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen}`);
  assert.deepEqual(errors, [], "errors in the page's scripts");
  await page.close();
  await stop(server);
}

const children = new Set();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: CHROMIUM });
try {
  for (const io of IO_MODELS) {
    await check(browser, io);
    console.log(`browser, ${io}: ok`);
  }
} finally {
  await browser.close();
  for (const child of children) child.kill("SIGKILL");
}
