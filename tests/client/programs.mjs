// Tests of the client outside of a browser, in Node.js or Deno: 1,000 messages by each technique
// through cuts and silence, tokens, refusals, the fallback and the way back.
//
// node programs.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import process from "node:process";
import { setTimeout as later } from "node:timers";
import WebSocketOfNode, { WebSocketServer } from "ws";
import { onBothModels, PATIENCE, publish, start, stop } from "./support.mjs";
import { subscribe, techniques } from "./files/pushlab.js";
import { Proxy } from "./proxy.mjs";

const MESSAGES = 1000;
const CUT_EVERY = 125;
const SILENCE_EVERY = 3 * CUT_EVERY;
const RETRY = [50, 500];
const runtime = globalThis.Deno ? "Deno" : "Node.js";
const WebSocket = globalThis.WebSocket ?? WebSocketOfNode;

/** A subscription whose hooks note everything, and functions that wait for it. */
class Listener {
  got = [];
  gaps = 0;
  states = [];
  #waits = new Set();

  /** `also` gets each message after it was noted. */
  constructor(url, { also, ...options }) {
    const onmessage = ({ data }) => {
      this.got.push(data);
      this.#changed();
      also?.(data);
    };
    const ongap = () => (this.gaps += 1);
    const onstate = (state, detail) => (this.states.push({ state, ...detail }), this.#changed());
    this.subscription = subscribe(url, { WebSocket, retryMs: RETRY, answerMs: 1500, onmessage, ongap, onstate, ...options });
  }

  #changed() {
    for (const look of this.#waits) look();
  }

  /** Waits until a condition holds. The patience only ends a test that hangs. */
  until(condition, what) {
    return new Promise((resolve, reject) => {
      const fail = () => done(() => reject(new Error(`${what}: got ${this.got.length} messages, ${JSON.stringify(this.states.slice(-5))}`)));
      const patience = setTimeout(fail, PATIENCE.timeout);
      const done = (settle) => (clearTimeout(patience), this.#waits.delete(look), settle());
      const look = () => condition(this) && done(resolve);
      this.#waits.add(look);
      look();
    });
  }

  isLive(technique) {
    const { state, technique: current } = this.subscription;
    return state === "live" && (technique === undefined || technique === current);
  }
}

const live = (listener, technique) => listener.until((each) => each.isLive(technique), `live by ${technique}`);
const numbered = (from, to) => Array.from({ length: to - from }, (_, at) => `message ${from + at}`);

const addresses = { ws: /\/ws\?/, events: /\/events\?/, eventsource: /\/events\?/, stream: /\/stream\?/, "long-poll": /\/long-poll\?/ };

/** All messages, each once and in order, while connections are cut, and some fall silent. */
async function throughCuts(server) {
  const proxy = await Proxy.start(server.port);
  const names = Object.keys(techniques).filter((name) => techniques[name].works({ WebSocket, base: proxy.url }));
  const expected = ["ws", "events", ...(globalThis.EventSource ? ["eventsource"] : []), "stream", "long-poll"];
  assert.deepEqual(names, expected, `the techniques that work in ${runtime}`);
  const listeners = names.map((technique) => new Listener(`${proxy.url}topics`, { topics: ["cut"], technique, heartbeatMs: 1000 }));
  for (const listener of listeners) await live(listener);
  for (let sent = 0; sent < MESSAGES; sent += 1) {
    await publish(server, "cut", `message ${sent}`);
    if (sent % CUT_EVERY !== CUT_EVERY - 1) continue;
    // A cut in the middle of the stream, of some the second time in silence. Each listener has a request to lose.
    for (const listener of listeners) await listener.until(({ got }) => got.length > sent - CUT_EVERY + 1, "a message behind the cut before");
    for (const { subscription } of listeners) await proxy.held(addresses[subscription.technique]);
    if (sent % SILENCE_EVERY === 2 * CUT_EVERY - 1) proxy.silence();
    else proxy.cut();
  }
  for (const [at, listener] of listeners.entries()) {
    await listener.until(({ got }) => got.length >= MESSAGES, names[at]);
    assert.deepEqual(listener.got, numbered(0, MESSAGES), `${names[at]} through cuts`);
    assert.equal(listener.gaps, 0, `gaps of ${names[at]}`);
    const downs = listener.states.filter(({ state }) => state === "down").length;
    // The last one may come after the last message. A runtime sends a GET again by itself if its connection
    // ends before the answer has begun (RFC 9110, section 9.2.2), so that a long poll notices only silence.
    const noticed = Math.floor(MESSAGES / (names[at] === "long-poll" ? SILENCE_EVERY : CUT_EVERY)) - 1;
    assert.ok(downs >= noticed, `${names[at]} has noticed ${downs} of at least ${noticed} cuts`);
    listener.subscription.close();
    assert.equal(listener.subscription.state, "closed");
  }
  proxy.stop();
}

/** A restarted server has forgotten everything, and says so: one gap, and then its messages. */
async function throughRestart(io) {
  let server = await start("demo", io);
  const listener = new Listener(`${server.url}topics`, { topics: "again" });
  await live(listener, "ws");
  await publish(server, "again", "before");
  await listener.until(({ got }) => got.length === 1, "a message");
  const { port } = server;
  await stop(server);
  await listener.until(({ subscription }) => subscription.state === "down", "down");
  server = await start("demo", io, port);
  await live(listener);
  await publish(server, "again", "after");
  await listener.until(({ got }) => got.length === 2, "a message after the restart");
  assert.deepEqual([listener.got, listener.gaps], [["before", "after"], 1]);
  listener.subscription.close();
  await stop(server);
}

/** Falls back while techniques are refused or swallowed, climbs back, and loses nothing. */
async function fallsAndClimbs(server) {
  const proxy = await Proxy.start(server.port);
  proxy.refuse(({ url }) => (/\/ws\?/.test(url) ? 502 : /\/events\?/.test(url) ? "hold" : undefined));
  const listener = new Listener(`${proxy.url}topics`, { topics: ["fall"], climbMs: 500 });
  await live(listener, "stream");
  const fell = listener.states.flatMap((detail) => detail.fell ?? []).map(({ technique }) => technique);
  assert.deepEqual(fell, ["ws", "events"]);
  await publish(server, "fall", "message 0");
  await listener.until(({ got }) => got.length === 1, "a message by the stream");
  proxy.refuse(({ url }) => (/\/ws\?/.test(url) ? 502 : undefined));
  await live(listener, "events");
  proxy.refuse(() => undefined);
  let sent = 1;
  // Messages go on while the techniques change.
  for (; !listener.isLive("ws"); sent += 1) await publish(server, "fall", `message ${sent}`);
  await publish(server, "fall", `message ${sent}`);
  await listener.until(({ got }) => got.length === sent + 1, "all messages");
  assert.deepEqual([listener.got, listener.gaps], [numbered(0, sent + 1), 0]);
  listener.subscription.close();
  proxy.stop();
}

/** While the server is away, no technique is given up. */
async function staysWhileAway(server) {
  const proxy = await Proxy.start(server.port);
  const listener = new Listener(`${proxy.url}topics`, { topics: ["away"] });
  await live(listener, "ws");
  proxy.refuse(() => "hold");
  proxy.cut();
  const downs = () => listener.states.filter(({ state }) => state === "down").length;
  await listener.until(() => downs() >= 3, "three failures");
  proxy.refuse(() => undefined);
  await live(listener, "ws");
  assert.ok(!listener.states.some(({ fell }) => fell), "it has fallen back");
  listener.subscription.close();
  proxy.stop();
}

/** Header fields, and the token where they are not possible. A refusal is told with its sentence. */
async function credentials(server) {
  const proxy = await Proxy.start(server.port);
  const isKnown = ({ url, headers }) => headers.authorization === "Bearer s3cret" || new URL(url, proxy.url).searchParams.get("access_token") === "s3cret";
  proxy.refuse((request) => (isKnown(request) ? undefined : 401));
  const asked = (ending) => proxy.requests.filter(({ url }) => url.includes(ending)).at(-1);

  for (const technique of ["ws", "events", "stream", "long-poll"]) {
    const listener = new Listener(`${proxy.url}topics`, { topics: ["token"], technique, token: async () => "s3cret" });
    await live(listener, technique);
    const { url, headers } = asked(`/${technique}?`);
    const inQuery = url.includes("access_token=s3cret");
    assert.deepEqual([inQuery, headers.authorization], technique === "ws" ? [true, undefined] : [false, "Bearer s3cret"], technique);
    listener.subscription.close();
  }

  const fields = new Listener(`${proxy.url}topics`, { topics: ["token"], headers: { Authorization: "Bearer s3cret", "X-Seen": "yes" } });
  await live(fields, "events"); // a WebSocket could not send the fields
  assert.equal(asked("/events?").headers["x-seen"], "yes");
  fields.subscription.close();

  let secret = "wrong";
  const renewed = new Listener(`${proxy.url}topics`, { topics: ["token"], token: () => secret });
  await renewed.until(({ states }) => states.some(({ status }) => status === 401), "the refusal");
  const { reason } = renewed.states.find(({ status }) => status === 401);
  assert.equal(reason, "the proxy refuses this");
  secret = "s3cret";
  await live(renewed, "ws"); // a refusal is no failure of the technique
  renewed.subscription.close();

  assert.throws(() => subscribe(proxy.url, { topics: "x", WebSocket, technique: "ws", headers: { a: "b" } }), /header fields/);
  proxy.stop();
}

function badOptions() {
  for (const [options, words] of [
    [{}, /topics/],
    [{ topics: [] }, /topics/],
    [{ topics: "a,b" }, /topics/],
    [{ topics: ["a", ""] }, /topics/],
    [{ topics: "a", technique: "telepathy" }, /telepathy; the names are ws, events/],
    [{ topics: "a", technique: "iframe" }, /works here/],
  ]) assert.throws(() => subscribe("http://127.0.0.1:1/topics", options), words);
}

/** An error in a hook does not end the stream, and a hook may close the subscription. */
async function hooks(server) {
  const errors = [];
  const failed = new Promise((resolve) => {
    const note = (error) => errors.push(error.message) === 2 && resolve(process.off("uncaughtException", note));
    process.on("uncaughtException", note);
  });
  const first = await publish(server, "hooks", "first");
  const last = await publish(server, "hooks", "second");
  const also = (data) => {
    throw new Error(`a hook fails at ${data}`);
  };
  const failing = new Listener(`${server.url}topics`, { topics: "hooks", after: "earliest", also });
  await failing.until(({ got }) => got.length === 2, "both messages");
  await failed;
  assert.deepEqual([failing.got, failing.subscription.state, failing.subscription.cursor], [["first", "second"], "live", last]);
  assert.deepEqual(errors, ["a hook fails at first", "a hook fails at second"]);
  failing.subscription.close();

  for (const technique of ["ws", "events", "stream", "long-poll"]) {
    const got = [];
    let closed;
    const isClosed = new Promise((resolve) => (closed = resolve));
    const closing = subscribe(`${server.url}topics`, {
      ...{ topics: "hooks", after: "earliest", technique, WebSocket },
      onmessage: ({ data }) => (got.push(data), closing.close()),
      onstate: (state) => state === "closed" && closed(),
    });
    await isClosed;
    assert.deepEqual([got, closing.cursor, closing.state], [["first"], first, "closed"], technique);
  }
}

/** The last word of a server, in the form of each technique, is told by `onend` and is no message. */
async function lastWords() {
  const word = { end: true, code: 1001, sentence: "the server shuts down", retry: 60_000 };
  const json = JSON.stringify(word);
  const message = JSON.stringify({ id: "a-1", topic: "x", data: "before" });
  const poll = JSON.stringify({ messages: [], last: "a-0", gap: false });
  const server = createServer(({ url }, response) => {
    if (/\/poll\b/.test(url)) response.end(poll);
    else if (url.includes("/events?")) response.end(`data: ${message}\n\nevent: end\ndata: ${json}\n\n`);
    else if (url.includes("/stream?")) response.end(`\n${message}\n${json}\n`);
    else if (url.includes("wait=0")) response.end(JSON.stringify({ messages: [JSON.parse(message)], last: "a-1", gap: false }));
    else response.writeHead(503).end(json);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => (socket.send(message), socket.close(1001, word.sentence)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  for (const technique of ["ws", "events", "stream", "long-poll"]) {
    const ends = [];
    const options = { topics: "x", technique, onend: (end) => ends.push(end), retryMs: [60_000, 60_000] };
    const listener = new Listener(`http://127.0.0.1:${server.address().port}/topics`, options);
    await listener.until(({ subscription }) => subscription.state === "down", `${technique} ended`);
    listener.subscription.close();
    assert.deepEqual([listener.got, ends], [["before"], [{ code: 1001, sentence: word.sentence }]], `${technique}: ${JSON.stringify(listener.states)}`);
    const { reason, pauseMs } = listener.states.find(({ state }) => state === "down");
    assert.equal(reason, word.sentence, technique);
    if (technique !== "ws") assert.equal(pauseMs, word.retry, technique); // a close frame has no room for it
  }
  sockets.close();
  server.close();
  server.closeAllConnections();
}

await onBothModels(`client, ${runtime}`, async (io) => {
  badOptions();
  await lastWords();
  const server = await start("demo", io);
  await throughCuts(server);
  await fallsAndClimbs(server);
  await staysWhileAway(server);
  await credentials(server);
  await hooks(server);
  await stop(server);
  await throughRestart(io);
});

// A closed subscription leaves nothing that keeps a program alive. This timer does not keep it alive either.
later(() => {
  throw new Error("the program does not end: a closed subscription has left something open");
}, PATIENCE.timeout).unref();
