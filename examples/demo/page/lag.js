// Whether the browser or the server is too slow for the feed. Then the page says so: its figures would
// tell about the machine, and not about the techniques.

const LOOK_MS = 200;
const LOOKS = 15; // remembered
const LATE_MS = 250;
const SLOW_MS = 1000; // for an answer of the server
const SHARE = 0.85; // of the messages that the feed should have
const PACES = 4; // looks at the feed, each a second after the one before

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

export class Lag {
  #late = [];
  #due = performance.now() + LOOK_MS;
  #looks = []; // { at, published, perSecond }
  #answerMs = 0;

  constructor() {
    setInterval(() => this.#look(), LOOK_MS);
    // A hidden page's timers are late on purpose.
    document.addEventListener("visibilitychange", () => (this.#late = []));
  }

  #look() {
    const now = performance.now();
    if (!document.hidden) this.#late.push(Math.max(0, now - this.#due));
    if (this.#late.length > LOOKS) this.#late.shift();
    this.#due = now + LOOK_MS;
  }

  /** Takes an answer of `/stats`, and how long it took. */
  take(stats, answerMs) {
    this.#answerMs = answerMs;
    const look = { at: performance.now(), published: stats.feed?.published ?? 0, perSecond: stats.pace.per_second };
    const last = this.#looks.at(-1);
    if (last && (last.perSecond !== look.perSecond || last.published > look.published)) this.#looks = [];
    this.#looks.push(look);
    if (this.#looks.length > PACES) this.#looks.shift();
  }

  /** How late this page's timers are, in milliseconds. */
  get browserMs() {
    // One late timer may be a pause of the memory's cleaner.
    return this.#late.toSorted((one, other) => other - one)[2] ?? 0;
  }

  get words() {
    const parts = [];
    if (this.browserMs > LATE_MS) parts.push(`This browser is ${seconds(this.browserMs)} late, so that the latencies tell about this machine and not about the techniques.`);
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    if (this.#looks.length === PACES && last.perSecond > 0) {
      const rate = ((last.published - first.published) * 1000) / (last.at - first.at);
      if (rate < SHARE * last.perSecond) parts.push(`The server publishes only ${rate.toFixed(0)} of ${last.perSecond} messages in a second.`);
    }
    if (this.#answerMs > SLOW_MS) parts.push(`The server took ${seconds(this.#answerMs)} for a short answer.`);
    return parts.join(" ");
  }
}
