// The six experiments. Each one does what it says, and tells afterwards what really happened.
//
// A step is a function of `{feeds, server, tabs, publish, held, tell, setOpen, seconds}`; it returns the
// last sentence. Owns the experiments. Leaves their buttons to tour.js.

import { sleep } from "/pushlab.js";
import { count, duration, size } from "./figures.js";
import { modelName } from "./server.js";
import { BYTES_PER_SECOND } from "./slow.js";
import { clock } from "./wire.js";

const LOOK_MS = 100;
const ARRIVAL_S = 8; // in which a message arrives everywhere
const SILENCE_S = 10;
const SLOW_S = 12;
const BLOCKED_S = 8;
const RETURN_S = 25; // in which all clients come back
const BROWSER_LIMIT = 6;

const list = new Intl.ListFormat("en");

/** Waits until something is true, for a number of seconds at most. Calls `look` meanwhile. */
async function until(isTrue, seconds, look = () => {}) {
  const end = performance.now() + seconds * 1000;
  while (!isTrue() && performance.now() < end) {
    look();
    await sleep(LOOK_MS);
  }
  return isTrue();
}

const open = (feeds) => feeds.filter((feed) => feed.isOpen);
const isPresent = (feed) => feed.shownState === "live";
const account = (feeds) => feeds.reduce((sum, { lost, twice }) => sum + lost + twice, 0);
const nothingLost = (lost) => (lost === 0 ? "No message was lost or came twice." : `${count(lost)} messages were lost or came twice.`);

async function sendOne({ feeds, publish, tell }) {
  const wanted = open(feeds);
  const sent = clock();
  const id = await publish(`Sent at ${new Date().toLocaleTimeString("en-GB")}`);
  const arrival = (feed) => feed.notes.find((note) => note.id === id)?.at;
  const show = () => {
    const arrived = wanted.filter(arrival).sort((one, other) => arrival(one) - arrival(other));
    return arrived.map((feed) => `${feed.technique.title} ${duration(arrival(feed) - sent)}`).join(", ");
  };
  const have = await until(() => wanted.every(arrival), ARRIVAL_S, () => tell(`The same message arrives by: ${show()}`));
  return `The same message came after: ${show()}.${have ? "" : " The others do not have it yet."}`;
}

async function sendNothing({ feeds, server, tell, seconds }) {
  const pace = server.stats.pace;
  const error = await server.setPace({ per_second: 0 });
  if (error) return error;
  await sleep(1000); // the last messages arrive
  seconds(30);
  const wanted = open(feeds);
  const before = wanted.map(({ figures }) => ({ ...figures.total }));
  const end = performance.now() + SILENCE_S * 1000;
  await until(() => performance.now() > end, SILENCE_S + 1, () => tell(`The feed is paused for ${Math.ceil((end - performance.now()) / 1000)} s. Watch which diagrams go on.`));
  const asked = wanted.map(({ technique, figures: { total } }, at) => ({ title: technique.title, requests: total.requests - before[at].requests, bytes: total.bytes - before[at].bytes }));
  await server.setPace({ per_second: Math.max(1, pace.per_second) });
  const busy = asked.filter(({ requests }) => requests > 0).map(({ title, requests, bytes }) => `${title} ${count(requests)} (${size(bytes)})`);
  const quiet = asked.filter(({ requests }) => requests === 0).map(({ title }) => title);
  return `In ${SILENCE_S} s without news, these sent requests: ${busy.length > 0 ? list.format(busy) : "none"}. Without a request waited: ${quiet.length > 0 ? list.format(quiet) : "none"}.`;
}

async function cutOne({ feeds, tabs, tell }) {
  const live = open(feeds).filter(isPresent);
  const feed = live.find(({ key }) => key === "events") ?? live.at(-1);
  if (!feed) return "No panel is live that could be cut.";
  const { title } = feed.technique;
  const [before, from] = [account([feed]), feed.last?.seq ?? 0];
  tabs.act({ cut: feed.key });
  tell(`${title} is cut, as by a lost network. The server goes on to publish.`);
  await until(() => feed.state !== "cut", 5);
  const newest = Math.max(...feeds.map(({ last }) => last?.seq ?? 0));
  const isBack = await until(() => isPresent(feed) && (feed.last?.seq ?? 0) >= newest, RETURN_S);
  if (!isBack) return `${title} has not caught up yet.`;
  return `${title} missed ${count(newest - from)} messages. It came back with the id of its last one, and got them all. ${nothingLost(account([feed]) - before)}`;
}

async function makeSlow({ feeds, tabs, server, tell, setOpen }) {
  const feed = feeds.find(({ key }) => key === "stream");
  const { title } = feed.technique;
  if (!feed.isOpen) setOpen("stream", true);
  const pace = server.stats.pace;
  if (pace.per_second * pace.bytes < BYTES_PER_SECOND) await server.setPace({ per_second: 5 });
  const before = account([feed]);
  let most = 0;
  tabs.act({ slow: true });
  const end = performance.now() + SLOW_S * 1000;
  await until(() => performance.now() > end, SLOW_S + 1, () => {
    most = Math.max(most, feed.behind);
    tell(`${title} now reads only ${BYTES_PER_SECOND} bytes a second. It is ${count(feed.behind)} messages behind; they wait in the browser, in the system, and then in the server.`);
  });
  tabs.act({ slow: false });
  await server.setPace({ per_second: pace.per_second });
  tell(`${title} reads fast again.`);
  const isBack = await until(() => isPresent(feed), RETURN_S);
  return `${title} was ${count(most)} messages behind, and ${isBack ? "has caught up" : "still catches up"}. The other techniques did not wait for it. ${nothingLost(account([feed]) - before)}`;
}

async function openSeventh({ feeds, server, held, tell }) {
  const more = BROWSER_LIMIT + 1 - held();
  server.isExpectedToWait = true;
  const ending = new AbortController();
  const streams = Array.from({ length: more }, () => fetch("/topics/seventh/stream", { signal: ending.signal, cache: "no-store" }).catch(() => {}));
  await sleep(300); // by now the streams have the free connections, or wait for one
  const [asked, counted] = [performance.now(), feeds.map(({ messages }) => messages)];
  let answered = null;
  const answer = fetch("/stats", { cache: "no-store" }).catch(() => {}).then(() => (answered = performance.now()));
  const since = () => duration((answered ?? performance.now()) - asked);
  const end = asked + BLOCKED_S * 1000;
  await until(() => performance.now() > end, BLOCKED_S + 1, () => tell(`${more} more streams: with them the page wants seven connections, and a browser has six. A short request has been waiting for ${since()}.`));
  // Before the streams end: then short polling gets at once what it has missed.
  const received = feeds.map(({ messages }, at) => messages - counted[at]);
  const got = (key) => count(received[feeds.findIndex((feed) => feed.key === key)]);
  ending.abort();
  await Promise.all([...streams, answer]);
  server.isExpectedToWait = false;
  return `The short request was answered after ${since()}, when the streams had ended. Meanwhile short polling got ${got("poll")} messages, and the WebSocket, which does not count as one of the six, got ${got("ws")}.`;
}

async function switchModel({ feeds, server, tell }) {
  const next = server.stats.io === "threads" ? "event-loop" : "threads";
  const [wanted, before, began] = [open(feeds), account(feeds), performance.now()];
  const error = await server.changeModel(next);
  if (error) return error;
  const since = () => duration(performance.now() - began);
  tell("The server ends all connections with a last word, and tells each client when to come back.");
  const hasChanged = () => server.stats.io === next;
  await until(hasChanged, RETURN_S);
  const isBack = await until(() => hasChanged() && wanted.every(isPresent), RETURN_S, () => tell(`The server now runs ${modelName(next)}. ${wanted.filter(isPresent).length} of ${wanted.length} techniques are back.`));
  if (!isBack) return `After ${since()}, not all techniques are back.`;
  return `The same process now serves the same port by ${modelName(next)}. All ${wanted.length} techniques came back by their cursors within ${since()}. ${nothingLost(account(feeds) - before)} Compare threads and latencies.`;
}

export const STEPS = [
  { key: "send", label: "Send one message", run: sendOne },
  { key: "silence", label: "Send nothing", run: sendNothing },
  { key: "cut", label: "Cut a connection", run: cutOne },
  { key: "slow", label: "Slow down a reader", run: makeSlow },
  { key: "seventh", label: "Open a 7th connection", run: openSeventh },
  { key: "model", label: "Switch the IO model", run: switchModel },
];
