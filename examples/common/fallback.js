// The way down: a subscription that takes the next technique where one does not get through.
//
// Owns the order of techniques, when one has failed, and the cursor that nothing is lost or repeated with between two of them. Refuses to
// climb up again by itself: what a proxy does not let through today, it will not in a minute; `choose` begins anew.
//
// Whatever fails while the server answers no plain request either is not the technique's fault, and is tried again for as long as it takes.

import { Subscription, TECHNIQUES } from "./push.js";

const PATIENCE_MS = 4000; // for an attempt to get live
const ATTEMPTS = 2; // of a technique, before the next one

/**
 * `hooks`: those of a subscription, and `technique(name)` when another one begins; `fell(name, next, reason)` when one gives way;
 * `refused(status, words)` when the server answers a plain request, but with an error: for whoever is not allowed in, no technique is
 * better than another. All are optional. `options` are those of a subscription.
 */
export class Fallback {
  technique = null;
  subscription = null;

  #topics;
  #hooks;
  #options;
  #techniques = [];
  #cursor;
  #failures = 0;
  #overdue = 0;

  constructor(techniques, topics, hooks = {}, options = {}) {
    this.#topics = topics;
    this.#hooks = hooks;
    this.#options = options;
    this.#cursor = options.after ?? null;
    this.choose(techniques);
  }

  get cursor() {
    return this.subscription?.cursor ?? this.#cursor;
  }

  /** Goes on with the first of these techniques, and falls back to those behind it. */
  choose(techniques) {
    this.#techniques = techniques;
    this.#begin(techniques[0]);
  }

  close() {
    clearTimeout(this.#overdue);
    this.#cursor = this.cursor;
    const { subscription } = this;
    this.subscription = null;
    return subscription?.close();
  }

  #begin(technique) {
    this.close();
    this.technique = technique;
    this.#failures = 0;
    let mine = null;
    // What comes from a subscription that has been closed is behind its cursor, and comes again.
    const current = (hook) => (...args) => (mine === null || mine === this.subscription ? hook?.(...args) : undefined);
    const hooks = {
      message: current(this.#hooks.message),
      gap: current(this.#hooks.gap),
      state: current((state, words) => this.#state(state, words)),
    };
    this.#hooks.technique?.(technique);
    mine = new Subscription(technique, this.#topics, hooks, { ...this.#options, after: this.#cursor ?? undefined });
    this.subscription = mine;
  }

  #state(state, words) {
    clearTimeout(this.#overdue);
    if (state === "live") this.#failures = 0;
    if (state === "connecting") this.#overdue = setTimeout(() => this.#failed(`no answer in ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
    if (state === "down") this.#failed(this.subscription?.trouble || words);
    this.#hooks.state?.(state, words);
  }

  async #failed(reason) {
    const { subscription } = this;
    const verdict = await this.#ask();
    // It got live, or gave way, in the meantime.
    if (subscription !== this.subscription || subscription === null || subscription.state === "live") return;
    if (verdict?.ok) this.#failures += 1;
    else if (verdict) this.#hooks.refused?.(verdict.status, verdict.words);
    const next = this.#techniques[this.#techniques.indexOf(this.technique) + 1];
    if (this.#failures >= ATTEMPTS && next) {
      this.#hooks.fell?.(this.technique, next, reason);
      this.#begin(next);
    } else if (subscription.state === "connecting") {
      subscription.cut();
    }
  }

  /** A plain request, as nobody in particular: what the server says to it, or `null` where it says nothing. */
  async #ask() {
    const base = this.#options.base ?? "/topics";
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await fetch(`${base}/${[this.#topics].flat().join(",")}/poll`, { cache: "no-store", signal });
      return { ok: response.ok, status: response.status, words: (await response.text()).trim() };
    } catch {
      return null;
    }
  }
}

/** The name of a technique for a person. */
export const titleOf = (technique) => TECHNIQUES[technique].title;
