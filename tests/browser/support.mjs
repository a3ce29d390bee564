// Code that the browser tests share: starting and stopping an example's server and a browser.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";

const [examples, pictures, ...asked] = process.argv.slice(2);
export const IO_MODELS = asked.length > 0 ? asked : ["event-loop", "threads"];
// No test judges a time. This timeout only ends a test that hangs.
export const PATIENCE = { timeout: 30_000 };

const CHROMIUM = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/**
 * Texts that leave a script, a string, an attribute, a line or a comment if they are not escaped
 * there.
 */
export const HOSTILE = [
  "</script><script>window.hacked = true</script>",
  "<!--<script>",
  '<img src=x onerror="window.hacked=true">',
  `"double" 'single' \`backtick\` \\ backslash \\u0022 \${window.hacked = true}`,
  "CR LF\r\nCR\rLF\nend\r\n",
  "\n\nbegins with line ends",
  "\u2028line\u2029paragraph",
  "\u{1F600} \u{1F468}\u200D\u{1F469}\u200D\u{1F467} e\u0301 \uFEFF",
  "data: x\n\nevent: gap\ndata: {}\n\nid: 0\n\n",
  "&amp; &lt; ]]> --> */ });",
  " \t leading and trailing \t ",
];

const children = new Set();
let browser;

/** Starts an example and waits until it prints its address. */
export async function start(example, io, port = 0, args = []) {
  const child = spawn(`${examples}/${example}`, ["--io", io, "--listen", `127.0.0.1:${port}`, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const address = await new Promise((found, failed) => {
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      printed += text;
      const match = printed.match(/https?:\/\/127\.0\.0\.1:(\d+)\//);
      if (match) found(match);
    });
    child.on("exit", (code) => failed(new Error(`${example} (${io}) ended with ${code} before it printed an address`)));
  });
  return { child, url: address[0], port: address[1] };
}

/** Sends Ctrl-C. The exit code must be 0 although pages have open streams. */
export async function stop(server) {
  server.child.kill("SIGINT");
  const [code] = await once(server.child, "exit");
  children.delete(server.child);
  // Deno tells the signal that it has sent, and not the code.
  if (!globalThis.Deno) assert.equal(code, 0, "the exit code after Ctrl-C");
}

/**
 * Opens a page in a browser context of its own, which shares no connection with others.
 * `page.errors` must stay empty.
 */
export async function newPage(options = {}) {
  browser ??= await launch();
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(error.message));
  page.on("dialog", (dialog) => {
    page.errors.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  return page;
}

export async function closePage(page) {
  assert.deepEqual(page.errors, [], "errors in the page's scripts");
  await page.context().close();
}

/** Checks that the page is not wider than a small phone. */
export async function fitsPhone(page) {
  await page.setViewportSize({ width: 360, height: 740 });
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen}`);
}

/** Takes a screenshot, for a look after a failure. */
export const picture = (page, name) => page.screenshot({ path: `${pictures}/${name}.png` });

/** Publishes without a browser, and returns the message's id. */
export async function publish(server, topic, text, fields = {}) {
  const headers = { "Content-Type": "text/plain; charset=utf-8", ...fields };
  const response = await fetch(`${server.url}topics/${topic}`, { method: "POST", body: text, headers });
  const answer = await response.text();
  assert.equal(response.status, 202, `publishing: ${answer}`);
  return JSON.parse(answer).id;
}

/** Starts a browser of the test's own, with further options of Chromium. */
export async function launch(args = []) {
  // Tests without a page run where this package does not.
  const { chromium } = await import("playwright-core");
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: [...CHROMIUM, ...args] });
}

/** Runs `test(io)` on both IO models. */
export async function onBothModels(title, test) {
  try {
    for (const io of IO_MODELS) {
      const begun = performance.now();
      await test(io);
      console.log(`${title}, ${io}: ok (${((performance.now() - begun) / 1000).toFixed(0)} s)`);
    }
  } finally {
    await browser?.close();
    for (const child of children) child.kill("SIGKILL");
  }
}
