// The server's figures, and its settings: the pace of the feed, and the IO model.
//
// Owns the requests to `/stats`, `/pace` and `/io`, and the strip of the server's figures.

import { sleep } from "/pushlab.js";
import { compareClocks, wallClock } from "/clock.js";
import { count, size } from "./figures.js";

const LOOK_MS = 1000;
const PATIENCE_MS = 4000; // for an answer
const MODELS = { "event-loop": "one event loop", threads: "a thread per connection" };
const LOG_STATES = { away: "is away", "catching-up": "is being read", following: "is followed" };

const $ = (id) => document.getElementById(id);
export const modelName = (io) => MODELS[io] ?? io;

function age(whole) {
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, Math.floor(whole) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`;
}

export class Server {
  stats = null; // the newest answer of /stats
  isExpectedToWait = false; // an experiment keeps short requests from being sent
  #authorization;

  /** `authorization` returns the header fields of a request that changes something. */
  constructor(authorization) {
    this.#authorization = authorization;
  }

  /** Asks for the figures again and again. `onstats` gets each answer, and how long it took. */
  async watch(clients, onstats) {
    for (;;) {
      const sent = wallClock();
      try {
        const response = await fetch(`/stats?clients=${clients}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
        if (!response.ok) throw new Error(response.statusText);
        const received = wallClock();
        this.stats = await response.json();
        compareClocks(sent, received, this.stats.now_ms);
        this.#showTrouble(null);
        this.#show();
        onstats(this.stats, received - sent);
      } catch {
        if (!this.isExpectedToWait) this.#showTrouble(`The server has not answered since ${new Date().toLocaleTimeString()}. This page keeps trying, and then resumes without loss.`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** Returns an error's sentence, or "". */
  async #post(path, query) {
    const options = { method: "POST", headers: this.#authorization(), signal: AbortSignal.timeout(PATIENCE_MS) };
    const response = await fetch(`${path}?${new URLSearchParams(query)}`, options).catch(({ message }) => ({ ok: false, text: () => message }));
    return response.ok ? "" : (await response.text()).trim();
  }

  async setPace(pace) {
    const error = await this.#post("/pace", pace);
    if (!error && this.stats) this.stats.pace = { ...this.stats.pace, ...pace };
    return error;
  }

  changeModel(model) {
    return this.#post("/io", { model });
  }

  #show() {
    const { stats } = this;
    const texts = {
      model: modelName(stats.io),
      threads: stats.io === "threads" ? count(stats.threads) : "1",
      open: count(stats.open),
      requests: count(stats.requests),
      messages: count(stats.messages_out),
      bytes: size(stats.bytes_out),
      dropped: count(stats.dropped),
      slow: count(stats.slow_disconnects),
      age: age(stats.io_seconds),
    };
    for (const [name, text] of Object.entries(texts)) {
      const element = document.querySelector(`[data-stat="${name}"]`);
      if (element.textContent !== text) element.textContent = text;
    }
    $("model").dataset.io = stats.io;
    $("token-field").hidden = !stats.publish_token;
    this.#showLog(stats.log);
  }

  /** The log that this server shares with others, if it has one. */
  #showLog(log) {
    $("log").hidden = !log;
    if (!log) return;
    const waits = `${count(log.spool_messages)} message${log.spool_messages === 1 ? "" : "s"} wait${log.spool_messages === 1 ? "s" : ""} for it`;
    const behind = Math.max(0, log.target - log.applied);
    const parts = [`${log.name} ${LOG_STATES[log.state]}`, waits, `the last message took ${count(log.delay_ms)} ms`];
    if (behind > 0) parts.push(`${count(behind)} records to read`);
    if (log.gaps + log.epochs > 0) parts.push(`gaps told: ${count(log.gaps + log.epochs)}`);
    $("log").textContent = `The topics are shared with other servers: ${parts.join("; ")}.${log.error ? ` ${log.error}.` : ""}`;
  }

  /** A screen reader speaks an alert each time its text changes. So it changes only when the trouble begins. */
  #showTrouble(sentence) {
    const trouble = $("trouble");
    trouble.hidden = sentence === null;
    if (sentence === null) trouble.textContent = "";
    else if (trouble.textContent === "") trouble.textContent = sentence;
    $("stats").classList.toggle("is-stale", sentence !== null);
  }
}
