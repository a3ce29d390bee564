// Tests of the feeds' page in a browser: every topic delivers messages over one connection, by
// every technique.
//
// node feeds.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closePage, fitsPhone, newPage, onBothModels, picture, start, stop } from "./support.mjs";

const TECHNIQUES = ["ws", "long-poll", "stream", "iframe", "multipart", "script-poll", "poll", "jsonp", "page", "events"];

/** The number of messages of each topic, as the page shows it. */
const count = (page) =>
  page.evaluate(() => Object.fromEntries(document.getElementById("topics").textContent.split(", ").map((pair) => pair.split(" "))));

/** Waits until each of these topics has delivered this many further messages. */
async function untilAllCount(page, more) {
  const before = await count(page);
  const least = Object.entries(more).map(([topic, messages]) => [topic, Number(before[topic] ?? 0) + messages]);
  await page.waitForFunction((wanted) => {
    const shown = new Map(document.getElementById("topics").textContent.split(", ").map((pair) => pair.split(" ")));
    return wanted.every(([topic, messages]) => Number(shown.get(topic)) >= messages);
  }, least);
}

const stats = async (server) => (await fetch(new URL("/stats", server.url))).json();

/**
 * Makes the files of a machine with two cores, a sensor of each kind, a disk and a network
 * interface.
 */
async function fakeMachine() {
  const root = await mkdtemp(join(tmpdir(), "pushlab-feeds-"));
  const files = {
    "proc/stat": "cpu  20 0 20 160 0 0 0 0 0 0\ncpu0 10 0 10 80 0 0 0 0 0 0\ncpu1 10 0 10 80 0 0 0 0 0 0\n",
    "proc/loadavg": "0.25 0.50 0.75 1/100 4242\n",
    "proc/meminfo": "MemTotal:        4096 kB\nMemFree:          512 kB\nMemAvailable:    1024 kB\n",
    "proc/net/dev": "Inter-|   Receive\n face |bytes\n  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n",
    "sys/class/hwmon/hwmon0/name": "chip\n",
    "sys/class/hwmon/hwmon0/temp1_input": "41500\n",
    "sys/class/hwmon/hwmon0/temp1_label": "Package <b>\n",
    "sys/class/hwmon/hwmon0/in0_input": "1048\n",
    "sys/class/block/sda/size": "1\n",
    "sys/class/net/eth0/mtu": "1500\n",
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, ".."), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

const textOf = (page, card) => page.textContent(`[data-card="${card}"]`);

async function onAFakeMachine(io) {
  const root = await fakeMachine();
  try {
    const server = await start("feeds", io, 0, ["--root", root]);
    const page = await newPage();
    await page.goto(server.url);
    await untilAllCount(page, { monitor: 1 });
    await page.waitForFunction(() => document.querySelector('[data-card="sensors"]').textContent.includes("°C"));
    assert.equal(await textOf(page, "sensors"), "Sensorschip in01.05 Vchip Package <b>41.5 °C");
    assert.equal(await textOf(page, "memory"), "Memory75 %3.0 MiB of 4.0 MiB");
    assert.ok((await textOf(page, "cpu")).includes("load 0.25, 0.50, 0.75"));

    // Since the last reading, one core was busy for half of its ticks, and the other for all.
    await writeFile(join(root, "proc/stat"), "cpu0 60 0 10 130 0 0 0 0 0 0\ncpu1 60 0 60 80 0 0 0 0 0 0\n");
    await page.waitForFunction(() => document.querySelector(".cores").getAttribute("aria-label") === "cores: 50 %, 100 %");
    await mkdir(join(root, "sys/class/block/sdb"));
    await page.waitForFunction(() => document.getElementById("plug").textContent.includes("block device sdb came"));
    await rm(join(root, "sys/class/net/eth0"), { recursive: true });
    await page.waitForFunction(() => document.getElementById("plug").textContent.includes("network interface eth0 went"));
    await picture(page, `feeds-${io}-fake`);

    await closePage(page);
    await stop(server);
  } finally {
    await rm(root, { recursive: true });
  }
}

/** A system without `/proc`. */
async function withQuotesOnly(io) {
  const root = await mkdtemp(join(tmpdir(), "pushlab-feeds-"));
  const server = await start("feeds", io, 0, ["--root", root]);
  await rm(root, { recursive: true });
  const page = await newPage();
  await page.goto(server.url);
  await page.waitForSelector("#no-monitor", { state: "visible" });
  await untilAllCount(page, { quotes: 5 });
  assert.ok(await page.isHidden("#monitor"));
  await closePage(page);
  await stop(server);
}

async function onThisMachine(io) {
  const server = await start("feeds", io);
  const page = await newPage();
  await page.goto(server.url);
  assert.equal(await page.getAttribute("#model", "data-io"), io);
  await page.waitForSelector('body[data-state="live"]');
  await untilAllCount(page, { monitor: 2, quotes: 8 });
  const { streams, websockets, held } = await stats(server);
  assert.deepEqual({ streams, websockets, held }, { streams: 1, websockets: 0, held: 0 }, "what carries three topics");
  assert.match(await textOf(page, "cpu"), /^Busy\d+ %load [\d.]+, [\d.]+, [\d.]+$/);
  assert.match(await textOf(page, "process"), /^This server[\d.]+ [KM]iB(one thread|\d+ threads)$/);
  await picture(page, `feeds-${io}`);

  for (const technique of TECHNIQUES) {
    await page.selectOption("#technique", technique);
    await page.waitForSelector(`body[data-state="live"][data-technique="${technique}"]`);
    await untilAllCount(page, { monitor: 1, quotes: 4 });
  }
  // One sequence numbers the messages of all topics. So the count is right only if none was lost or
  // repeated over all techniques.
  const [counted, last] = await page.$eval("#messages", (figure) => [Number(figure.textContent), figure.dataset.last]);
  assert.equal(counted, Number(last.split("-")[1]), `messages up to ${last}`);
  assert.ok(await page.isHidden("#gap"), "no gap is told");

  await fitsPhone(page);
  await closePage(page);
  await stop(server);
}

await onBothModels("feeds", async (io) => {
  await onThisMachine(io);
  await onAFakeMachine(io);
  await withQuotesOnly(io);
});
