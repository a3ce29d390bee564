// The demo's page: ten subscriptions to one hub, side by side, and the controls.
//
// Owns the panels' order, the controls and the server's figures. Leaves each subscription to
// panel.js.

import { sleep, token } from "/pushlab.js";
import { compareClocks, describeClock, wallClock } from "/clock.js";
import { SHARED } from "./connections.js";
import { Newest } from "./newest.js";
import { bytes, Panel } from "./panel.js";

const RENDER_MS = 250;
const STATS_MS = 1000;
const PATIENCE_MS = 4000; // for an answer of the server
const FREEZE_MS = 8000;

// From the oldest technique to the newest. The two in ON_DEMAND are opened by the user only: with
// them, more connections would be held than the limit.
const ORDER = ["page", "poll", "jsonp", "long-poll", "script-poll", "iframe", "stream", "multipart", "events", "ws"];
const ON_DEMAND = new Set(["script-poll", "multipart"]);

const number = new Intl.NumberFormat("en");
const $ = (id) => document.getElementById(id);
const client = token("tab");
const newest = new Newest();
const panels = ORDER.map((key) => new Panel(key, client, newest));
let isFrozen = false;

// ---- Connections --------------------------------------------------------------------------------

const held = () => panels.filter((panel) => panel.isHeld && panel.isOpen);

// At the limit, the panel that was opened first is closed. It keeps its cursor, and resumes there
// when it is opened again.
function open(panel) {
  if (panel.isHeld && held().length >= SHARED) {
    const oldest = held().reduce((one, other) => (one.openedAt <= other.openedAt ? one : other));
    oldest.close();
    say(`${oldest.technique.title} made room for ${panel.technique.title}.`);
  }
  panel.open();
}

for (const panel of panels) {
  panel.element.querySelector(".toggle").onclick = () => (panel.isOpen ? panel.close() : open(panel));
}

function showConnections() {
  const count = panels.filter((panel) => panel.isHeld && ["connecting", "live", "behind", "down", "paused"].includes(panel.element.dataset.state)).length;
  $("held").textContent = `${count} of ${SHARED}`;
}

const say = (sentence) => ($("said").textContent = sentence);

// Shows what happens to a page that opens one connection for each of its feeds.
async function freeze() {
  isFrozen = true;
  $("freeze").disabled = true;
  const ending = new AbortController();
  const streams = Array.from({ length: 6 }, () => fetch("/topics/freeze/stream", { signal: ending.signal, cache: "no-store" }).catch(() => {}));
  await sleep(300); // by now the six streams have taken all free connections, or wait for one
  const [asked, counted] = [performance.now(), panels.map((panel) => panel.messages)];
  const answered = fetch("/stats", { cache: "no-store" }).then(
    () => performance.now(),
    () => performance.now(),
  );
  const seconds = (until) => `${((until - asked) / 1000).toFixed(1)} s`;
  const timer = setInterval(() => {
    $("frozen").textContent = `Six more streams than the browser has connections for: a request for /stats has been waiting for ${seconds(performance.now())}.`;
  }, 100);
  await sleep(FREEZE_MS);
  ending.abort();
  await Promise.all(streams);
  clearInterval(timer);
  const got = (key) => panels[ORDER.indexOf(key)].messages - counted[ORDER.indexOf(key)];
  const took = seconds(await answered);
  $("frozen").textContent =
    `/stats was answered after ${took}, when the six streams had ended. Meanwhile short polling got ${number.format(got("poll"))} messages, ` +
    `and the WebSocket, which does not count as one of the six, got ${number.format(got("ws"))}.`;
  $("freeze").disabled = false;
  isFrozen = false;
}

$("freeze").onclick = freeze;

// ---- Publishing ---------------------------------------------------------------------------------

const authorization = () => {
  const given = $("token").value.trim();
  return given ? { Authorization: `Bearer ${given}` } : {};
};

$("publish").onsubmit = async (event) => {
  event.preventDefault();
  try {
    const headers = { "Content-Type": "text/plain; charset=utf-8", ...authorization() };
    const response = await fetch("/topics/notes", { method: "POST", body: $("note").value, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) throw new Error((await response.text()).trim());
    $("published").textContent = `published as ${(await response.json()).id}`;
    $("note").value = "";
  } catch (error) {
    $("published").textContent = `not published: ${error.message}`;
  }
};

// ---- The server ---------------------------------------------------------------------------------

const MODELS = { "event-loop": "one event loop", threads: "a thread per connection" };
let paceIsMoving = false;

function showModel(io) {
  $("model").textContent = MODELS[io] ?? io;
}

function showPace({ per_second, bytes: size }) {
  $("rate-now").textContent = `${per_second} message${per_second === 1 ? "" : "s"}/s`;
  $("size-now").textContent = bytes(size);
}

// A logarithmic slider from 128 B to 16 KiB. Three steps double the size.
const sizeOf = (step) => Math.round(128 * 2 ** (step / 3));
const stepOf = (size) => Math.round(Math.log2(size / 128) * 3);

function showStats(stats) {
  const texts = {
    open: number.format(stats.open),
    threads: stats.io === "threads" ? number.format(stats.threads) : "1 for all",
    requests: number.format(stats.requests),
    messages_out: number.format(stats.messages_out),
    bytes_out: bytes(stats.bytes_out),
    slow: `${number.format(stats.dropped)} / ${number.format(stats.slow_disconnects)}`,
    uptime: duration(stats.uptime_seconds),
  };
  for (const [name, text] of Object.entries(texts)) document.querySelector(`[data-stat="${name}"]`).textContent = text;
  showModel(stats.io);
  showLog(stats.log);
  newest.see(stats.feed?.last);
  $("token-field").hidden = !stats.publish_token;
  for (const panel of panels) panel.sent = stats.clients[panel.client] ?? panel.sent;
  if (!paceIsMoving) {
    $("rate").value = stats.pace.per_second;
    $("size").value = stepOf(stats.pace.bytes);
    showPace(stats.pace);
  }
}

const LOG_STATES = { away: "is away", "catching-up": "is being read", following: "is followed" };

// The log that this server shares with others, if there is one.
function showLog(log) {
  $("log").hidden = !log;
  if (!log) return;
  const waits = `${number.format(log.spool_messages)} message${log.spool_messages === 1 ? "" : "s"} wait${log.spool_messages === 1 ? "s" : ""} for it`;
  const behind = Math.max(0, log.target - log.applied);
  const parts = [`${log.name} ${LOG_STATES[log.state]}`, waits, `the last message took ${number.format(log.delay_ms)} ms`];
  if (behind > 0) parts.push(`${number.format(behind)} records to read`);
  if (log.gaps + log.epochs > 0) parts.push(`gaps told: ${number.format(log.gaps + log.epochs)}`);
  $("log").textContent = `The topics are shared with other servers: ${parts.join("; ")}.${log.error ? ` ${log.error}.` : ""}`;
  $("log").classList.toggle("trouble", log.state !== "following");
}

function duration(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts[0] > 0 ? `${parts[0]} h ${parts[1]} min` : parts[1] > 0 ? `${parts[1]} min ${parts[2]} s` : `${parts[2]} s`;
}

// A screen reader speaks an alert each time its text changes. So the text changes only when the
// trouble begins.
function showTrouble(sentence) {
  const trouble = $("trouble");
  trouble.hidden = sentence === null;
  if (sentence === null) trouble.textContent = "";
  else if (trouble.textContent === "") trouble.textContent = sentence;
  $("stats").classList.toggle("is-stale", sentence !== null);
}

async function watchServer() {
  for (;;) {
    const sent = wallClock();
    try {
      const response = await fetch(`/stats?clients=${client}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!response.ok) throw new Error(response.statusText);
      const received = wallClock();
      const stats = await response.json();
      compareClocks(sent, received, stats.now_ms);
      showTrouble(null);
      showStats(stats);
      $("clock").textContent = describeClock();
    } catch {
      if (!isFrozen) showTrouble(`The server has not answered since ${new Date().toLocaleTimeString()}. This page keeps trying, and then resumes without loss.`);
    }
    await sleep(STATS_MS);
  }
}

let paceTimer;
for (const id of ["rate", "size"]) {
  $(id).addEventListener("input", () => {
    paceIsMoving = true;
    const pace = { per_second: +$("rate").value, bytes: sizeOf(+$("size").value) };
    showPace(pace);
    clearTimeout(paceTimer);
    paceTimer = setTimeout(async () => {
      const options = { method: "POST", headers: authorization(), signal: AbortSignal.timeout(PATIENCE_MS) };
      // If the request fails, the next answer of /stats moves the sliders back.
      const response = await fetch(`/pace?${new URLSearchParams(pace)}`, options).catch(() => null);
      say(response && !response.ok ? (await response.text()).trim() : "");
      paceIsMoving = false;
    }, 150);
  });
}

// ---- Start --------------------------------------------------------------------------------------

showModel($("model").dataset.io);
watchServer();
for (const panel of panels) if (!ON_DEMAND.has(panel.key)) panel.open();
setInterval(() => {
  for (const panel of panels) panel.render();
  showConnections();
}, RENDER_MS);

// For tests, and for the console.
window.pushlab = { panels };
