// A subscription that takes the next technique if one does not work.
//
// Owns the order of the techniques, the decision that one has failed, and the cursor that loses and
// repeats nothing between two techniques. Leaves one technique's connection to push.js.
//
// - It never returns to an earlier technique by itself: a proxy that blocks it now most likely also
//   blocks it in a minute. `choose` starts again.
// - A technique has failed only if the server answers a plain request meanwhile. If not, the server
//   is away, and the same technique is tried again without a limit.

import { Subscription, TECHNIQUES } from "./push.js";

const PATIENCE_MS = 4000; // until an attempt must be live
const ATTEMPTS = 2; // of one technique, before the next one

/**
 * `hooks` are those of a subscription, and three more: `technique(name)` when a technique begins;
 * `fell(name, next, reason)` when a technique has failed; `refused(status, words)` when the server
 * answers a plain request with an error, because then another technique does not help. All are
 * optional. `options` are those of a subscription.
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

  /** Continues with the first of these techniques. The others are the fallbacks, in this order. */
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
    // Messages of a closed subscription are dropped: its cursor does not include them, so that the
    // next subscription gets them.
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
    // During the request, the subscription may have become live or been replaced.
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

  /**
   * Sends a plain poll without a client name. Returns its status and text, or `null` without an
   * answer.
   */
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

/** The title of a technique, for people. */
export const titleOf = (technique) => TECHNIQUES[technique].title;
