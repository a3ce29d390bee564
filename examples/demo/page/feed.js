// One technique's subscription to the feed, and the account of what it receives.
//
// Owns the state, the counts of messages and losses, and which messages count for latency. Leaves the
// connection to pushlab.js, what goes over the wire to wire.js, and all display to others.

import { sleep, subscribe, techniques } from "/pushlab.js";
import "/older.js";
import { wordsOf } from "/states.js";
import { serverClock } from "/clock.js";
import { EVERY_S } from "./facts.js";
import { Figures } from "./figures.js";
import { partsOf } from "./newest.js";
import { SLOW } from "./slow.js";
import { Timeline } from "./timeline.js";
import { clock, Wire } from "./wire.js";

const CUT_MS = 3000;
const RETRY_MS = [500, 4000]; // the shortest and the longest back-off
const GRACE_MS = 1000; // the time that a message may take without the feed being behind, beside the time between two polls
const NOTES = 100; // kept

export class Feed {
  messages = 0;
  lost = 0;
  twice = 0;
  gaps = 0;
  last = null; // the newest quote
  notes = []; // { id, text }
  figures = new Figures();
  timeline = new Timeline();
  state = "closed";
  words = "closed";

  #freshSince = Infinity; // older messages arrive late after an interruption, and their latency does not count
  #isFresh = false; // there was no interruption since the last latency was measured
  #epoch = null; // of the newest quote's id; each run of the server has its own
  #lastOfRun = new Map(); // by the run of a server, the number of its last quote
  #cursor = null;
  #subscription = null;
  #opening = null;
  #isSlow = false;
  #live = new Set(); // the attempts of this tab that are open
  #wire = new Wire((record) => this.#note(record));
  #options;

  /**
   * `client` is the name under which the server counts this feed's requests, `isShared` whether all tabs
   * share one connection, `newest` the newest message of all feeds, and `container` an element for a
   * visible frame. `onwire` gets each record of the wire.
   */
  constructor(fact, options) {
    this.fact = fact;
    this.key = fact.key;
    this.technique = techniques[fact.key];
    this.#options = options;
  }

  get client() { return this.#options.client; }
  /** Whether all tabs share one connection. */
  get isShared() { return this.#options.isShared; }
  get isOpen() { return this.#opening !== null; }
  /** Whether it occupies one of the browser's HTTP connections all the time. */
  get isHeld() { return this.technique.held > 0; }
  /** Whether this tab has the connection, and not another one. */
  get isOwn() { return this.#live.size > 0; }
  get isMeasured() { return this.#isFresh || !this.isOpen; }

  /** The number of published messages that have not arrived; 0 while they may be on their way. */
  get behind() {
    const graceMs = GRACE_MS + (this.fact.group === "asks" ? EVERY_S * 1000 : 0);
    return this.isOpen ? this.#options.newest.behind(this.#subscription?.cursor ?? this.#cursor, graceMs) : 0;
  }

  /** The state, with `behind` for a connection that is live and has not caught up. */
  get shownState() { return this.state === "live" && this.behind > 0 ? "behind" : this.state; }

  open() {
    if (this.isOpen) return;
    this.#opening = new AbortController();
    this.#enter("connecting");
    this.#subscribe();
  }

  close() {
    if (!this.isOpen) return;
    this.#opening.abort();
    this.#opening = null;
    this.#unsubscribe();
    this.#enter("closed");
  }

  /** Ends the connection as a lost network would, and resumes after a pause. Returns when it has resumed. */
  async cut() {
    if (this.#subscription === null) return;
    const { signal } = this.#opening;
    this.#unsubscribe();
    this.#enter("cut", `cut for ${CUT_MS / 1000} s`);
    await sleep(CUT_MS, signal);
    if (!signal.aborted) this.#subscribe();
  }

  /** Reads slowly from now on, or as fast as it can. */
  slowDown(isSlow) {
    if (this.#isSlow === isSlow) return;
    this.#isSlow = isSlow;
    if (this.#subscription === null) return;
    this.#unsubscribe();
    this.#subscribe();
  }

  /** Takes a record of another tab that has the connection. */
  relay(record) {
    if (this.#subscription !== null) this.#record(record);
  }

  #subscribe() {
    const { client, isShared, container } = this.#options;
    this.#subscription = subscribe("/topics", {
      ...{ topics: ["feed", "notes"], technique: this.#isSlow ? SLOW : this.key, after: this.#cursor },
      ...{ client, share: isShared, everyS: EVERY_S, container, retryMs: RETRY_MS },
      onmessage: (envelope) => (envelope.topic === "feed" ? this.#take(envelope) : this.#takeNote(envelope)),
      ongap: () => this.#takeGap(),
      onstate: (state, detail) => state !== "closed" && this.#enter(state, wordsOf(state, detail)),
      onwire: this.#wire.onwire,
    });
  }

  #unsubscribe() {
    this.#cursor = this.#subscription?.cursor ?? this.#cursor;
    this.#subscription?.close();
    this.#subscription = null;
  }

  /** Notes what this tab's own connection does. */
  #note(record) {
    const isMain = record.technique === this.key || record.technique === SLOW;
    if (isMain) this.#live[record.kind === "end" ? "delete" : "add"](record.attempt);
    this.#record(record);
    this.#options.onwire(record);
  }

  #record(record) {
    this.figures.wire(record);
    this.timeline.take(record);
  }

  #enter(state, words = state) {
    [this.state, this.words] = [state, words];
    if (state !== "live") this.#freshSince = Infinity;
    else if (this.#freshSince === Infinity) this.#freshSince = serverClock();
    // After a response that the server ended, the next request follows at once. That is no interruption.
    if (state !== "live" && state !== "connecting") this.#isFresh = false;
  }

  /** After this, only messages count for latency that are published after the feed has caught up. */
  #isNotFresh() {
    this.#freshSince = Infinity;
    this.#isFresh = false;
  }

  /** Looks whether the feed is behind. Call it regularly. */
  look() {
    if (this.behind > 0) this.#isNotFresh();
    if (!this.#isFresh && this.isOpen) this.figures.forgetLatencies();
  }

  #take({ id, data }) {
    const now = serverClock();
    const [quote, { epoch }] = [JSON.parse(data), partsOf(id)];
    this.#options.newest.see(id);
    this.#count();
    // A restarted server has a new epoch.
    if (epoch !== this.#epoch) this.#lastOfRun.clear();
    this.#epoch = epoch;
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
    else if (this.#freshSince === Infinity) this.#freshSince = now;
    if (quote.sent_ms < this.#freshSince) return;
    this.#isFresh = true;
    this.figures.latency(now - quote.sent_ms);
  }

  #takeNote({ id, data, encoding }) {
    this.#options.newest.see(id);
    this.#count();
    this.notes.push({ id, text: encoding ? `${data} (${encoding})` : data, at: clock() });
    if (this.notes.length > NOTES) this.notes.shift();
  }

  #count() {
    this.messages += 1;
    this.figures.message();
    // The size of a reloaded page is known, but not its text.
    if (this.key === "page") this.timeline.takeMessage(clock());
  }

  /** Messages in a declared gap do not count as lost. */
  #takeGap() {
    this.gaps += 1;
    this.#lastOfRun.clear();
  }
}
