// Tests of TLS in a browser: the demo's page receives every technique over https and wss, and a page
// of another origin cannot open a WebSocket.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:tls";
import { OPEN, PANELS, read, untilCounting } from "./panels.mjs";
import { closePage, launch, newPage, onBothModels, start, stop } from "./support.mjs";

const SELF_SIGNED = ["--tls-self-signed"];
const TRUSTING = { ignoreHTTPSErrors: true };

/** As `newPage`, and what the browser prints as an error counts as an error. */
async function newWatchedPage() {
  const page = await newPage(TRUSTING);
  page.sockets = [];
  page.on("websocket", (socket) => page.sockets.push(socket.url()));
  page.on("console", (message) => {
    if (message.type() === "error") page.errors.push(`the console: ${message.text()} (${message.location().url})`);
  });
  return page;
}

/** Every panel of the page is live over TLS. */
async function everyTechnique(io) {
  const server = await start("demo", io, 0, SELF_SIGNED);
  assert.equal(server.url, `https://127.0.0.1:${server.port}/`);
  const page = await newWatchedPage();
  const response = await page.goto(server.url);
  const { protocol } = await response.securityDetails();
  assert.equal(protocol, "TLS 1.3");
  assert.equal(await page.evaluate(() => location.protocol), "https:");
  assert.equal(await page.evaluate(() => isSecureContext), true);
  assert.equal(await page.getAttribute("#model", "data-io"), io);
  await untilCounting(page, OPEN, 20, "after 20 messages");
  // These two close two others, because a browser has six connections for a host.
  const others = PANELS.filter((key) => !OPEN.includes(key));
  for (const key of others) await page.click(`article[data-key="${key}"] .toggle`);
  await untilCounting(page, others, 20, "after 20 messages");
  for (const key of others) await page.click(`article[data-key="${key}"] .cut`);
  const open = (await read(page)).filter(({ state }) => state !== "closed").map(({ key }) => key);
  await untilCounting(page, open, 20, "after a cut");
  assert.ok(page.sockets.length > 0, "the page has opened a WebSocket");
  for (const url of page.sockets) assert.ok(url.startsWith(`wss://127.0.0.1:${server.port}/`), `a WebSocket at ${url}`);
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  assert.deepEqual(loaded.filter((url) => !url.startsWith(server.url)), [], "resources that are not the server's");
  await closePage(page);
  await stop(server);
}

/** Runs in a page. Whether the WebSocket opens. */
const opens = (url) =>
  new Promise((done) => {
    const socket = new WebSocket(url);
    socket.onopen = () => done(true);
    socket.onerror = () => done(false);
  });

/** Only a page that the server lists may open a WebSocket, if its origin is another. */
async function otherOrigins(io) {
  const plain = await start("demo", io);
  const secure = await start("demo", io, 0, SELF_SIGNED);
  const origins = [`http://127.0.0.1:${plain.port}`, `https://127.0.0.1:${secure.port}`];
  const closed = await start("demo", io, 0, SELF_SIGNED);
  const listing = await start("demo", io, 0, [...SELF_SIGNED, ...origins.flatMap((origin) => ["--allow-origin", origin])]);
  const page = await newPage(TRUSTING);
  for (const origin of origins) {
    // This page has the origin, and no scripts of its own.
    await page.goto(`${origin}/plaintext`);
    for (const path of ["echo", "topics/feed/ws"]) {
      assert.equal(await page.evaluate(opens, `wss://127.0.0.1:${closed.port}/${path}`), false, `${path} from ${origin}`);
      assert.equal(await page.evaluate(opens, `wss://127.0.0.1:${listing.port}/${path}`), true, `${path} from ${origin}, which is listed`);
    }
  }
  await page.goto(`${closed.url}plaintext`);
  assert.equal(await page.evaluate(opens, `wss://127.0.0.1:${closed.port}/echo`), true, "the server's own origin");
  await closePage(page);
  for (const server of [plain, secure, closed, listing]) await stop(server);
}

/** The hash of the server's public key (RFC 7469, section 2.4). */
async function pin(server) {
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const key = new X509Certificate(socket.getPeerCertificate().raw).publicKey;
  socket.destroy();
  return createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("base64");
}

/** Without the option to ignore errors, a browser opens the page only if it knows the server's key. */
async function knownKey(io) {
  const server = await start("demo", io, 0, SELF_SIGNED);
  const stranger = await newPage();
  await assert.rejects(stranger.goto(server.url), /ERR_CERT_AUTHORITY_INVALID/);
  await closePage(stranger);
  const browser = await launch([`--ignore-certificate-errors-spki-list=${await pin(server)}`]);
  try {
    const page = await (await browser.newContext()).newPage();
    assert.equal((await page.goto(server.url)).status(), 200);
    await untilCounting(page, OPEN, 5, "with a key that is known");
  } finally {
    await browser.close();
  }
  await stop(server);
}

await onBothModels("tls", async (io) => {
  await everyTechnique(io);
  await otherOrigins(io);
  await knownKey(io);
});
