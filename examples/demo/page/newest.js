// The newest message that this page knows, now and up to ten seconds ago.
//
// Owns the newest sequence numbers that arrived at any panel or with /stats. Leaves the cursors to
// the panels.

const KEPT_MS = 10_000;
const STEP_MS = 100; // a sequence number counts as known from the end of its step on

/** The two parts of an id (`epoch-sequence`), or `null` if the text is not an id. */
export function partsOf(id) {
  const [epoch, sequence] = (id ?? "").split("-");
  return sequence ? { epoch, sequence: Number(sequence) } : null;
}

export class Newest {
  #epoch = null;
  #known = []; // { at, sequence }, oldest first

  /** Notes that a message with this id has been published. */
  see(id) {
    const parts = partsOf(id);
    if (!parts) return;
    // A restarted server has a new epoch and counts from 1 again.
    if (parts.epoch !== this.#epoch) [this.#epoch, this.#known] = [parts.epoch, []];
    const last = this.#known.at(-1);
    if (last && parts.sequence <= last.sequence) return;
    const at = Math.ceil(performance.now() / STEP_MS) * STEP_MS;
    if (last?.at === at) last.sequence = parts.sequence;
    else this.#known.push({ at, sequence: parts.sequence });
    while (this.#known.length > 1 && this.#known[1].at < at - KEPT_MS) this.#known.shift();
  }

  /**
   * How many messages follow after a cursor, if this page has known one of them for `graceMs`;
   * otherwise 0.
   */
  behind(cursor, graceMs) {
    const parts = partsOf(cursor);
    if (parts?.epoch !== this.#epoch) return 0;
    const until = performance.now() - graceMs;
    const before = this.#known.findLast(({ at }) => at <= until);
    return before && parts.sequence < before.sequence ? this.#known.at(-1).sequence - parts.sequence : 0;
  }
}
