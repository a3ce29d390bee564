// One technique's panel: its subscription, and the figures about it.
//
// Owns the counts of messages, losses and latencies, and their display. Leaves the connection to
// pushlab.js, and the count of requests and bytes to meter.js.

import { sleep, subscribe, techniques } from "/pushlab.js";
import "/older.js";
import { bytesOf, Meter } from "/meter.js";
import { wordsOf } from "/states.js";
import { serverClock } from "/clock.js";
import { takeConnection } from "./connections.js";
import { partsOf } from "./newest.js";

const WINDOW = 500; // latencies kept for the percentiles
const CHART = 120; // latencies in the chart
const CUT_MS = 3000;
const RETRY_MS = [500, 4000]; // the shortest and the longest back-off
const EVERY_S = 2; // between polls, and between reloads
const GRACE_MS = 1000; // the time that a message may take without the panel being behind, beside the time between two polls
const POLLS = new Set(["page", "poll", "jsonp"]);

const number = new Intl.NumberFormat("en");

export class Panel {
  messages = 0;
  payloadBytes = 0;
  lost = 0;
  twice = 0;
  gaps = 0;
  latencies = [];
  last = null; // the newest quote
  epoch = null; // the epoch of the newest quote's id; each run of the server has its own
  freshSince = Infinity; // older messages arrive late after an interruption, and their latency does not count
  sent = { requests: 0, head_bytes: 0 }; // counted by the server
  notes = [];
  openedAt = 0;

  #state = "closed";
  #words = "closed";
  #isFresh = false; // there was no interruption since the last latency was measured
  #lastOfRun = new Map(); // by the run of a server, the number of its last quote
  #meter = new Meter();
  #cursor = null;
  #subscription = null;
  #opening = null;
  #release = () => {};
  #newest;
  #graceMs;

  constructor(key, client, newest) {
    this.key = key;
    this.#newest = newest;
    this.#graceMs = GRACE_MS + (POLLS.has(key) ? EVERY_S * 1000 : 0);
    this.client = `${client}.${key}`;
    this.technique = techniques[key];
    this.element = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.element.dataset.key = key;
    this.element.querySelector("h2").textContent = this.technique.title;
    this.element.querySelector("h2").id = `title-${key}`;
    this.element.setAttribute("aria-labelledby", `title-${key}`);
    this.element.querySelector(".path").textContent = `GET /topics/feed,notes/${ENDPOINTS[key] ?? key}`;
    this.element.querySelector(".cut").onclick = () => this.#cut();
    if (key === "page") this.element.querySelector(".frame").hidden = false;
    this.#enter("closed");
    document.getElementById("panels").append(this.element);
  }

  get isOpen() {
    return this.#opening !== null;
  }

  get isHeld() {
    return this.technique.held > 0;
  }

  get requests() {
    return this.#meter.requests;
  }

  get downBytes() {
    return this.#meter.downBytes;
  }

  /**
   * The number of published messages that the panel has not received; 0 while they may be on their
   * way.
   */
  get behind() {
    return this.isOpen ? this.#newest.behind(this.#subscription?.cursor ?? this.#cursor, this.#graceMs) : 0;
  }

  /** Subscribes at the panel's cursor, as soon as a connection is free. */
  async open() {
    if (this.isOpen) return;
    this.#opening = new AbortController();
    this.openedAt = performance.now();
    const { signal } = this.#opening;
    this.#enter("connecting");
    try {
      if (this.isHeld) this.#release = await takeConnection(signal, () => this.#enter("waiting", "waits for a connection"));
    } catch {
      return; // the panel was closed meanwhile
    }
    this.#subscribe();
  }

  #subscribe() {
    this.#subscription = subscribe("/topics", {
      topics: ["feed", "notes"],
      technique: this.key,
      after: this.#cursor,
      client: this.client,
      everyS: EVERY_S,
      container: this.key === "page" ? this.element.querySelector(".frame") : undefined,
      retryMs: RETRY_MS,
      onmessage: (envelope) => (envelope.topic === "feed" ? this.#take(envelope) : this.#takeNote(envelope)),
      ongap: () => this.#takeGap(),
      onstate: (state, detail) => state !== "closed" && this.#enter(state, wordsOf(state, detail)),
      onwire: this.#meter.onwire,
    });
  }

  #unsubscribe() {
    this.#cursor = this.#subscription?.cursor ?? this.#cursor;
    this.#subscription?.close();
    this.#subscription = null;
  }

  /** Ends the connection as a lost network would, and resumes after a pause. */
  async #cut() {
    const { signal } = this.#opening;
    this.#unsubscribe();
    this.#enter("cut", `cut for ${CUT_MS / 1000} s`);
    await sleep(CUT_MS, signal);
    if (!signal.aborted) this.#subscribe();
  }

  close() {
    if (!this.isOpen) return;
    this.#opening.abort();
    this.#opening = null;
    this.#unsubscribe();
    this.#release();
    this.#release = () => {};
    this.#enter("closed");
  }

  #enter(state, words = state) {
    [this.#state, this.#words] = [state, words];
    this.#showState();
    this.element.querySelector(".cut").disabled = state !== "live";
    this.element.querySelector(".toggle").textContent = state === "closed" ? "Open" : "Close";
    if (state !== "live") this.freshSince = Infinity;
    else if (this.freshSince === Infinity) this.freshSince = serverClock();
    // After a response that the server ended, the next request follows at once. That is no
    // interruption.
    if (state !== "live" && state !== "connecting") this.#isFresh = false;
  }

  // After this, only messages count for latency that are published after the panel is live and has
  // caught up.
  #isNotFresh() {
    this.freshSince = Infinity;
    this.#isFresh = false;
  }

  // A connected panel that is behind is not shown as live. The number of messages is in an element
  // of its own, outside the element that screen readers speak: it changes all the time.
  #showState() {
    const { behind } = this;
    const isCatchingUp = this.#state === "live" && behind > 0;
    this.element.dataset.state = isCatchingUp ? "behind" : this.#state;
    const write = (selector, text) => {
      const element = this.element.querySelector(selector);
      if (element.textContent !== text) element.textContent = text;
    };
    write(".words", isCatchingUp ? "catching up" : this.#words);
    write(".behind", behind > 0 ? `, ${number.format(behind)} behind` : "");
  }

  #take({ id, data }) {
    const now = serverClock();
    const [quote, { epoch }] = [JSON.parse(data), partsOf(id)];
    this.#newest.see(id);
    this.messages += 1;
    this.payloadBytes += bytesOf(data);
    // A restarted server has a new epoch.
    if (epoch !== this.epoch) this.#lastOfRun.clear();
    this.epoch = epoch;
    // Each server that publishes counts its own quotes.
    const last = this.#lastOfRun.get(quote.run);
    if (quote.seq <= last) {
      this.twice += 1;
      return;
    }
    if (last) this.lost += quote.seq - last - 1;
    this.#lastOfRun.set(quote.run, quote.seq);
    this.last = quote;
    if (this.behind > 0) this.#isNotFresh();
    else if (this.freshSince === Infinity) this.freshSince = now;
    if (quote.sent_ms < this.freshSince) return;
    this.#isFresh = true;
    this.latencies.push(now - quote.sent_ms);
    if (this.latencies.length > WINDOW) this.latencies.shift();
  }

  #takeNote({ data, encoding }) {
    this.notes.push(data);
    if (this.notes.length > 100) this.notes.shift();
    this.payloadBytes += bytesOf(data);
    const note = this.element.querySelector(".note");
    note.hidden = false;
    note.textContent = encoding ? `${data} (${encoding})` : data;
  }

  // Messages in a declared gap do not count as lost.
  #takeGap() {
    this.gaps += 1;
    this.#lastOfRun.clear();
  }

  #show(name, text, isBad = false) {
    const element = this.element.querySelector(`[data-is="${name}"]`);
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("bad", isBad);
  }

  render() {
    this.#showState();
    if (this.behind > 0) this.#isNotFresh();
    this.#show("messages", number.format(this.messages));
    this.#show("lost", `${number.format(this.lost)} / ${number.format(this.twice)}`, this.lost + this.twice > 0);
    this.#show("gaps", number.format(this.gaps));
    this.#show("requests", number.format(this.requests));
    this.#show("up", bytes(this.sent.head_bytes));
    this.#show("down", bytes(this.downBytes));
    if (this.last) {
      this.element.querySelector(".name").textContent = this.last.name;
      this.element.querySelector(".value").textContent = this.last.value.toFixed(2);
      this.element.querySelector(".seq").textContent = `no. ${number.format(this.last.seq)}`;
    }
    if (this.messages > 0) {
      const overhead = this.downBytes + this.sent.head_bytes - this.payloadBytes;
      this.#show("overhead", `${number.format(Math.max(0, Math.round(overhead / (this.messages + this.notes.length))))} B`);
    }
    // After an interruption, old latencies are hidden. A closed panel keeps its figures.
    if (!this.#isFresh && this.isOpen) {
      for (const name of ["last", "p50", "p99"]) this.#show(name, "–");
    } else if (this.latencies.length > 0) {
      const sorted = this.latencies.toSorted((a, b) => a - b);
      const rank = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
      this.#show("last", milliseconds(this.latencies.at(-1)));
      this.#show("p50", milliseconds(rank(0.5)));
      this.#show("p99", milliseconds(rank(0.99)));
      this.#draw();
    }
  }

  // The scale is logarithmic and the same for all panels: 0.1 ms at the bottom, 10 s at the top.
  #draw() {
    const shown = this.latencies.slice(-CHART);
    const height = (latency) => (32 - Math.log10(Math.min(Math.max(latency, 0.1), 10_000)) * 8).toFixed(1);
    const points = shown.map((latency, index) => `${CHART - shown.length + index + 1},${height(latency)}`);
    this.element.querySelector("polyline").setAttribute("points", points.join(" "));
  }
}

// The paths of techniques whose endpoint differs from their name.
const ENDPOINTS = {
  page: `page?every=${EVERY_S}`,
  jsonp: "poll?callback=f",
  "script-poll": "long-poll?callback=f",
  iframe: "iframe?callback=f",
  events: "events?format=json",
  multipart: "multipart?format=json",
};

export const milliseconds = (value) => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;

export const bytes = (count) => {
  if (count < 10_000) return `${number.format(count)} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
};
