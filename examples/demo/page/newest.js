// The newest message that this page knows of, now and a moment ago.
//
// Owns the sequences of ids that came to any panel or with /stats. Leaves the cursors to the panels.

const KEPT_MS = 10_000;
const STEP_MS = 100; // a sequence counts as known from the end of its step on

/** An id's two parts (`epoch-sequence`), or `null` for what is no id. */
export function partsOf(id) {
  const [epoch, sequence] = (id ?? "").split("-");
  return sequence ? { epoch, sequence: Number(sequence) } : null;
}

export class Newest {
  #epoch = null;
  #known = []; // { at, sequence }, oldest first

  /** A message of this id has been published. */
  see(id) {
    const parts = partsOf(id);
    if (!parts) return;
    // A server that was started anew counts from 1 again.
    if (parts.epoch !== this.#epoch) [this.#epoch, this.#known] = [parts.epoch, []];
    const last = this.#known.at(-1);
    if (last && parts.sequence <= last.sequence) return;
    const at = Math.ceil(performance.now() / STEP_MS) * STEP_MS;
    if (last?.at === at) last.sequence = parts.sequence;
    else this.#known.push({ at, sequence: parts.sequence });
    while (this.#known.length > 1 && this.#known[1].at < at - KEPT_MS) this.#known.shift();
  }

  /** How many messages there are behind a cursor, if one of them has been known of for `graceMs`; otherwise 0. */
  behind(cursor, graceMs) {
    const parts = partsOf(cursor);
    if (parts?.epoch !== this.#epoch) return 0;
    const until = performance.now() - graceMs;
    const before = this.#known.findLast(({ at }) => at <= until);
    return before && parts.sequence < before.sequence ? this.#known.at(-1).sequence - parts.sequence : 0;
  }
}
