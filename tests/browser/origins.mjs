// Tests of pages of other origins in a browser: a listed origin can use every technique, and
// another origin can use none.

import assert from "node:assert/strict";
import { closePage, newPage, onBothModels, start, stop } from "./support.mjs";

/**
 * Tries what a page can do to the server at `base`. Returns for each attempt `true` or the
 * browser's error. Runs in the page.
 */
async function attempt(base) {
  const tried = async (act) => {
    try {
      return await act();
    } catch (error) {
      return error.name;
    }
  };
  // A page of another origin may send each of these fields only after a preflight that allows it.
  const headers = {
    "Authorization": "Bearer x",
    "Cache-Control": "no-cache",
    "Content-Type": "application/json",
    "If-None-Match": '"x-1"',
    "Last-Event-ID": "1-1",
    "X-Requested-With": "XMLHttpRequest",
  };
  const fetched = (path, options) => tried(async () => (await fetch(base + path, options)).ok);
  const opened = (source, open) =>
    new Promise((done) => {
      source[open] = () => done(true);
      source.onerror = () => done("error");
    }).finally(() => source.close());
  return {
    publish: await fetched("topics/t", { method: "POST", body: "{}", headers }),
    pace: await fetched("pace?per_second=5", { method: "POST", headers }),
    poll: await fetched("topics/t/poll?after=earliest"),
    events: await opened(new EventSource(`${base}topics/t/events`), "onopen"),
    websocket: await opened(new WebSocket(`${base.replace("http", "ws")}topics/t/ws`), "onopen"),
  };
}

/** Does the same in a sandboxed frame, whose origin is `null`. Runs in the page. */
function attemptInFrame([base, code]) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.srcdoc = `<script>(${code})(${JSON.stringify(base)}).then((done) => parent.postMessage(done, "*"))</script>`;
  const told = new Promise((done) => addEventListener("message", ({ data }) => done(data), { once: true }));
  document.body.append(frame);
  return told;
}

const ALL = { publish: true, pace: true, poll: true, events: true, websocket: true };
const NOTHING = { publish: "TypeError", pace: "TypeError", poll: "TypeError", events: "error", websocket: "error" };

await onBothModels("origins", async (io) => {
  const pages = await start("demo", io);
  const listed = `http://127.0.0.1:${pages.port}`;
  const other = `http://localhost:${pages.port}`;
  const server = await start("demo", io, 0, ["--allow-origin", listed, "--allow-host", "127.0.0.1"]);
  const framed = await start("demo", io, 0, ["--allow-origin", "null"]);

  const page = await newPage();
  // This page has the origin, and no scripts of its own.
  await page.goto(`${listed}/plaintext`);
  assert.deepEqual(await page.evaluate(attempt, server.url), ALL, "a listed origin");
  assert.deepEqual(await page.evaluate(attemptInFrame, [server.url, attempt.toString()]), NOTHING, "an opaque origin");
  assert.deepEqual(await page.evaluate(attemptInFrame, [framed.url, attempt.toString()]), ALL, "an opaque origin that is listed");
  await page.goto(`${other}/plaintext`);
  assert.deepEqual(await page.evaluate(attempt, server.url), NOTHING, "another origin");
  await page.goto(`${server.url}plaintext`);
  assert.deepEqual(await page.evaluate(attempt, server.url), ALL, "the server's own origin, beside the list");
  // A host name that is not listed but resolves to this server, as in DNS rebinding, gets 421.
  const answer = await page.goto(`http://localhost:${server.port}/`);
  assert.equal(answer.status(), 421);
  await closePage(page);
  for (const each of [pages, server, framed]) await stop(each);
});
