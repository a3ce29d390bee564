// Tests of the demo's page with two frames in a browser: one connection joins and leaves topics, loses
// nothing over a cut, and its presence ends when the page closes.

import assert from "node:assert/strict";
import { closePage, fitsPhone, newPage, onBothModels, PATIENCE, picture, publish, start, stop } from "./support.mjs";

const online = async (server, topic) => {
  const { online } = await (await fetch(`${server.url}topics/${topic}`)).json();
  return Object.values(online).reduce((sum, count) => sum + count, 0);
};

const frame = (page, name) => page.frames().find((candidate) => candidate.name() === name);
/** The texts of the messages, oldest first. */
const shown = async (page) => {
  const lines = await frame(page, "display").$$eval("li:not(.note)", (items) => items.map((item) => item.textContent));
  return lines.reverse();
};
const untilShown = (page, text) => frame(page, "display").waitForFunction((wanted) => document.querySelector("ol").textContent.includes(wanted), text, PATIENCE);
const untilJoined = (page, topics) => frame(page, "control").waitForFunction((wanted) => document.querySelector("#state").dataset.joined === wanted, topics, PATIENCE);
const untilNoted = (page, text) => frame(page, "display").waitForFunction((wanted) => [...document.querySelectorAll(".note")].some((note) => note.textContent === wanted), text, PATIENCE);

await onBothModels("two frames", async (io) => {
  const server = await start("demo", io);
  await publish(server, "news", "before the page");
  const page = await newPage();
  await page.goto(`${server.url}frames`);
  const control = frame(page, "control");
  await control.waitForFunction(() => document.querySelector("#state").value === "connected", null, PATIENCE);
  const pushed = () => page.frames().filter((candidate) => candidate.url().includes("/iframe?"));
  const [first] = pushed();

  await control.check("input[value=news]");
  await untilJoined(page, "news");
  await untilShown(page, "before the page");
  await control.check("input[value=sport]");
  await untilJoined(page, "news,sport");
  await publish(server, "sport", "a goal");
  await untilShown(page, "a goal");
  await control.uncheck("input[value=news]");
  await untilNoted(page, "left news");
  assert.equal(await online(server, "news"), 0, "presence ends with the topic");
  await publish(server, "news", "while it was left");
  await publish(server, "sport", "the end");
  await untilShown(page, "the end");
  assert.deepEqual(await shown(page), ["newsbefore the page", "sporta goal", "sportthe end"]);
  // It continues behind the last message that the page has of the topic.
  await control.check("input[value=news]");
  await untilJoined(page, "news,sport");
  await untilShown(page, "while it was left");
  assert.equal(pushed()[0], first, "it is the same connection");

  // The hidden page is cut, and the frame comes back with its cursor.
  await publish(server, "news", "before the cut");
  await untilShown(page, "before the cut");
  await control.evaluate(() => document.querySelector("iframe").contentWindow.stop());
  await control.evaluate(() => open());
  await publish(server, "news", "during the cut");
  await publish(server, "sport", "behind the cut");
  await untilShown(page, "behind the cut");
  assert.deepEqual((await shown(page)).slice(3), ["newswhile it was left", "newsbefore the cut", "newsduring the cut", "sportbehind the cut"]);

  await control.fill("#text", "from the page");
  await control.click("button");
  await untilShown(page, "from the page");
  await picture(page, `frames-${io}`);
  await fitsPhone(page);

  // A page that is closed leaves at once. A client that goes without a farewell before it stays for
  // the grace time, so it would be the first to be gone otherwise.
  const other = new AbortController();
  await fetch(`${server.url}topics/news/stream?client=other`, { signal: other.signal });
  assert.equal(await online(server, "news"), 2);
  other.abort();
  await page.goto("about:blank");
  let left = 2;
  while (left === 2) left = await online(server, "news");
  assert.equal(left, 1, "the client without a farewell is still online");
  await closePage(page);
  await stop(server);
});
