// What the tests of the demo's page read from its panels.

import assert from "node:assert/strict";
import { PATIENCE } from "./support.mjs";

export const PANELS = ["page", "poll", "jsonp", "long-poll", "script-poll", "iframe", "stream", "multipart", "events", "ws"];
/** The panels that are open from the start. They fit into the connections of the page. */
export const OPEN = PANELS.filter((key) => key !== "script-poll" && key !== "multipart");

/** The state and the figures of each panel. */
export const read = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("article")].map((panel) => {
      const figure = (name) => Number(panel.querySelector(`[data-is="${name}"]`).textContent.replaceAll(",", ""));
      return { key: panel.dataset.key, state: panel.dataset.state, messages: figure("messages"), lost: figure("lost"), gaps: figure("gaps") };
    }),
  );

/** Waits until the page has begun: its panels are open. */
export const untilBegun = (page) => page.waitForFunction(() => window.pushlab?.feeds.some(({ isOpen }) => isOpen), null, PATIENCE);

/**
 * Waits until these panels are live and have received `more` further messages. None may have lost a
 * message, or got one twice.
 */
export async function untilCounting(page, keys, more, when, gaps = 0) {
  await untilBegun(page);
  const least = Object.fromEntries((await read(page)).filter(({ key }) => keys.includes(key)).map(({ key, messages }) => [key, messages + more]));
  const isCounting = (wanted) =>
    Object.entries(wanted).every(([key, messages]) => {
      const panel = document.querySelector(`article[data-key="${key}"]`);
      return panel.dataset.state === "live" && Number(panel.querySelector('[data-is="messages"]').textContent.replaceAll(",", "")) >= messages;
    });
  await page.waitForFunction(isCounting, least, PATIENCE).catch(async (error) => {
    throw new Error(`${when}: wanted ${JSON.stringify(least)}, got ${JSON.stringify(await read(page))}`, { cause: error });
  });
  for (const panel of (await read(page)).filter(({ key }) => keys.includes(key))) {
    assert.equal(panel.lost, 0, `${panel.key}, lost or twice, ${when}`);
    assert.equal(panel.gaps, gaps, `${panel.key}, gaps, ${when}`);
  }
}
