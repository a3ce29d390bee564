// The figures of one technique over the last 20 seconds: latency, and the cost of a message.
//
// Owns the window. Leaves to feed.js which messages count for latency.

export const WINDOW_S = 20;
const STEP_MS = 500; // costs are added up for so long

/** The smallest value that at least this share of the sorted values does not exceed. */
const rank = (sorted, share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];

export class Figures {
  #latencies = []; // { at, ms }, oldest first
  #costs = []; // { at, requests, bytes, messages }, oldest first
  #sentBytes = null;
  total = { requests: 0, bytes: 0, messages: 0 }; // since the beginning

  /** Takes a record of wire.js. */
  wire({ kind, bytes }) {
    this.#add("bytes", bytes);
    if (kind === "request") this.#add("requests", 1);
  }

  /** A message has arrived. */
  message() {
    this.#add("messages", 1);
  }

  /** How many bytes of request heads the server has counted until now. */
  sent(total) {
    if (this.#sentBytes !== null && total > this.#sentBytes) this.#add("bytes", total - this.#sentBytes);
    this.#sentBytes = total;
  }

  latency(ms) {
    this.#latencies.push({ at: performance.now(), ms });
  }

  /** After an interruption, older latencies tell nothing about now. */
  forgetLatencies() {
    this.#latencies = [];
  }

  read() {
    const oldest = performance.now() - WINDOW_S * 1000;
    const isOld = ({ at }) => at < oldest;
    while (this.#latencies.length > 0 && isOld(this.#latencies[0])) this.#latencies.shift();
    while (this.#costs.length > 0 && isOld(this.#costs[0])) this.#costs.shift();
    const sum = (name) => this.#costs.reduce((all, step) => all + step[name], 0);
    const [requests, bytes, messages] = [sum("requests"), sum("bytes"), sum("messages")];
    const sorted = this.#latencies.map(({ ms }) => ms).sort((one, other) => one - other);
    return {
      ...{ requests, bytes, messages, p50: rank(sorted, 0.5), p99: rank(sorted, 0.99) },
      requestsPerMessage: messages > 0 ? requests / messages : undefined,
      bytesPerMessage: messages > 0 ? bytes / messages : undefined,
    };
  }

  #add(name, amount) {
    const at = Math.floor(performance.now() / STEP_MS) * STEP_MS;
    if (this.#costs.at(-1)?.at !== at) this.#costs.push({ at, requests: 0, bytes: 0, messages: 0 });
    this.#costs.at(-1)[name] += amount;
    this.total[name] += amount;
  }
}

const number = new Intl.NumberFormat("en");

export const count = (value) => number.format(value);

/** A latency with at most three digits. A browser's clock is not more exact than 0.1 ms. */
export const duration = (ms) => {
  if (ms === undefined) return "–";
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : ms < 995 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
};

export const size = (bytes) => {
  if (bytes === undefined) return "–";
  if (bytes < 9_995) return `${number.format(Math.round(bytes))} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(bytes < 99_950 ? 1 : 0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
};

/** Requests for each message, which may be a small part of one. */
export const share = (value) => {
  if (value === undefined) return "–";
  return value === 0 ? "0" : value < 0.095 ? value.toFixed(3) : value.toFixed(2);
};
