// Tests of the demo's STOMP endpoint with an ordinary client, `@stomp/stompjs`: in a browser, and in
// Node.js, on both IO models.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { closePage, newPage, onBothModels, publish, start, stop } from "./support.mjs";

const require = createRequire(import.meta.url);
const LIBRARY = require.resolve("@stomp/stompjs");
const MESSAGES = 1_000;

/**
 * Receives `count` messages of a topic, cutting the connection after every `every`, and resumes with
 * the last `message-id`. Runs in the page and in Node.js.
 */
async function receive({ Client, url, count, every, factory }) {
  const [seen, versions] = [[], new Set()];
  let cursor = "earliest";
  await new Promise((resolve, reject) => {
    const client = new Client({ brokerURL: factory ? undefined : url, webSocketFactory: factory, reconnectDelay: 1, heartbeatIncoming: 5_000, heartbeatOutgoing: 5_000 });
    let left = every;
    client.onConnect = () => {
      versions.add(client.connectedVersion);
      left = every;
      client.subscribe(
        "/topic/stomp",
        (message) => {
          if (seen.length === count) return;
          if (message.headers.gap !== undefined) return reject(new Error("a gap"));
          seen.push(message.body);
          cursor = message.headers["message-id"];
          if (seen.length === count) return resolve(client.deactivate());
          left -= 1;
          if (left === 0) client.forceDisconnect();
        },
        { after: cursor },
      );
    };
    client.onStompError = (frame) => reject(new Error(frame.headers.message));
    client.activate();
  });
  return { seen, versions: [...versions] };
}

/** Queues, acknowledgements, transactions, receipts and refusals, as the client's users write them. */
async function converse({ Client, url, factory }) {
  const client = new Client({ brokerURL: factory ? undefined : url, webSocketFactory: factory, reconnectDelay: 0 });
  await new Promise((resolve) => {
    client.onConnect = resolve;
    client.activate();
  });
  const log = [];
  const receipt = (run) =>
    new Promise((resolve) => {
      const id = `receipt-${log.length}-${Math.random()}`;
      client.watchForReceipt(id, resolve);
      run({ receipt: id });
    });
  const messages = [];
  let arrived = () => {};
  const next = async () => {
    while (messages.length === 0) await new Promise((resolve) => (arrived = resolve));
    return messages.shift();
  };
  const consume = (message) => {
    messages.push(message);
    arrived();
  };
  const queue = `/queue/stomp-${Math.random().toString(36).slice(2)}`;
  await receipt((headers) => client.publish({ destination: queue, body: "one: \u20ac\n\\", headers: { ...headers, priority: "a:b\nc\\" } }));
  const subscription = client.subscribe(queue, consume, { ack: "client-individual" });
  const first = await next();
  log.push([first.body, first.headers.priority, first.headers.redelivered]);
  first.nack();
  const again = await next();
  log.push([again.body, again.headers.redelivered]);
  again.ack();
  const transaction = client.begin();
  client.publish({ destination: queue, body: "two", headers: { transaction: transaction.id } });
  client.publish({ destination: queue, binaryBody: new Uint8Array([0, 255]), headers: { transaction: transaction.id } });
  transaction.commit();
  const [two, bytes] = [await next(), await next()];
  log.push([two.body, [...bytes.binaryBody]]);
  two.ack();
  bytes.ack();
  await receipt((headers) => subscription.unsubscribe(headers));
  const refused = new Promise((resolve) => (client.onStompError = (frame) => resolve(frame.headers.message)));
  client.publish({ destination: "/elsewhere", body: "x" });
  log.push([await refused]);
  await client.deactivate();
  return log;
}

const CONVERSATION = [
  ["one: \u20ac\n\\", "a:b\nc\\", undefined],
  ["one: \u20ac\n\\", "true"],
  ["two", [0, 255]],
  ["a destination must begin with /topic/ or /queue/"],
];

async function check(io) {
  const server = await start("demo", io);
  const numbers = Array.from({ length: MESSAGES }, (_, number) => String(number));
  const url = server.url.replace("http", "ws") + "stomp";
  for (const number of numbers) await publish(server, "stomp", number);

  const page = await newPage();
  await page.goto(server.url);
  await page.addScriptTag({ content: readFileSync(LIBRARY, "utf8") });
  const inPage = (run, options) => page.evaluate(`(${run})({ Client: StompJs.Client, ...${JSON.stringify(options)} })`);
  const browser = await inPage(receive, { url, count: MESSAGES, every: 37 });
  assert.deepEqual(browser, { seen: numbers, versions: ["1.2"] });
  // JSON has no `undefined`, and the page returns it as it is.
  assert.deepEqual(await inPage(converse, { url }), CONVERSATION);
  await closePage(page);

  const { Client } = require("@stomp/stompjs");
  const { WebSocket } = require("ws");
  const factory = () => new WebSocket(url, ["v12.stomp", "v11.stomp", "v10.stomp"]);
  const node = await receive({ Client, url, count: MESSAGES, every: 53, factory });
  assert.deepEqual(node, { seen: numbers, versions: ["1.2"] });
  assert.deepEqual(await converse({ Client, url, factory }), CONVERSATION);
  await stop(server);
}

await onBothModels("stomp", check);
