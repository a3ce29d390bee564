// What the tabs of this page tell each other. A browser has six HTTP/1.1 connections to a server, in all
// tabs together: so the tabs share the connections of pushlab.js, and show the same panels.
//
// Owns the channel of the tabs, and the sentence about it. Leaves the streams to pushlab.js.

import { sleep, token } from "/pushlab.js";

const ANSWER_MS = 300; // in which other tabs answer
const LOOK_MS = 2000;
const UNANSWERED = 3; // looks, until another tab counts as gone

/** Browsers have what sharing needs only on pages from this machine or by HTTPS. */
export const canShare = navigator.locks !== undefined && typeof BroadcastChannel !== "undefined";

const list = new Intl.ListFormat("en");

export class Tabs {
  #channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("pushlab demo");
  #name = token("");
  #others = new Map(); // by name: { open, holds, unanswered }
  #hooks;

  /**
   * `hooks.state()` returns `{open, holds}`: the keys of the open panels, in the order of their opening,
   * and of those whose connection this tab has. `act(action)` does what a tab was asked for, and
   * `wire(key, record)` takes what another tab's connection does.
   */
  constructor(hooks) {
    this.#hooks = hooks;
    if (!this.#channel) return;
    this.#channel.onmessage = ({ data }) => this.#take(data);
    addEventListener("pagehide", () => this.#say({ bye: true }));
    setInterval(() => document.hidden || this.#look(), LOOK_MS);
  }

  /** Returns the open panels of another tab, or `null` if there is no other tab. */
  async join() {
    this.#say({ hello: true });
    await sleep(ANSWER_MS);
    return this.#others.values().next().value?.open ?? null;
  }

  get hasOthers() {
    return this.#others.size > 0;
  }

  /** Does something in all tabs. */
  act(action) {
    if (canShare) this.#say({ action });
    this.#hooks.act(action);
  }

  /** Tells the other tabs what this tab's connection does. */
  relay(key, record) {
    if (canShare && this.hasOthers) this.#say({ key, record });
  }

  /** A sentence about the other tabs, or "". `titles` are the names of techniques by key. */
  words(titles) {
    if (!this.hasOthers) return "";
    const names = (keys) => list.format(keys.map((key) => titles[key]));
    const theirs = [...this.#others.values()].flatMap(({ holds }) => holds);
    const own = this.#hooks.state().holds;
    if (!canShare) return "Another tab holds connections. Here the tabs cannot share them, because the page came without HTTPS from another machine: a browser has six for all tabs.";
    const joins = `This tab ${own.length > 0 ? `holds the ${own.length === 1 ? "connection" : "connections"} of ${names(own)}, and ` : ""}`;
    if (theirs.length > 0) return `Another tab holds the connections of ${names(theirs)}. ${joins}joins ${theirs.length === 1 ? "this stream" : "these streams"}: all tabs together need no more connections than one.`;
    return `${this.#others.size === 1 ? "Another tab has" : `${this.#others.size} other tabs have`} joined the streams of this tab: all tabs together need no more connections than one.`;
  }

  #say(message) {
    this.#channel?.postMessage({ from: this.#name, ...message });
  }

  #look() {
    for (const [name, other] of this.#others) if ((other.unanswered += 1) > UNANSWERED) this.#others.delete(name);
    this.#say({ hello: true });
  }

  #take({ from, hello, bye, here, action, key, record }) {
    if (hello) this.#say({ here: this.#hooks.state() });
    else if (here) this.#others.set(from, { ...here, unanswered: 0 });
    else if (bye) this.#others.delete(from);
    else if (action) this.#hooks.act(action);
    else this.#hooks.wire(key, record);
  }
}
