// The timing diagram of one technique: what went over the wire in the last seconds.
//
// Owns the newest events and their drawing. Time goes to the right, the browser is above, the server
// below. Each kind of event has a shape of its own: colour alone says nothing.

const KEPT_MS = 65_000;
const EVENTS_MAX = 20_000;

/** The size of the drawing, in units of its own. */
export const BOX = { width: 340, height: 46, top: 6, bottom: 40 };

const LEAN = 3; // a request or an answer takes its time: its line leans

export class Timeline {
  #events = []; // { kind, at }, oldest first
  #spans = []; // { from, to }: responses that have ended
  #open = new Map(); // by attempt, when its request was sent

  /** Takes a record of wire.js. */
  take({ kind, attempt, at, messages = 0, isHeartbeat, isLast }) {
    if (kind === "request") {
      this.#end(attempt, at);
      this.#open.set(attempt, at);
      this.#add("request", at);
    } else if (kind === "end") {
      if (this.#end(attempt, at)) this.#add("end", at);
    } else {
      if (messages > 0) this.#add("message", at);
      else if (isHeartbeat) this.#add("heartbeat", at);
      else if (isLast) this.#add("empty", at);
      if (isLast) this.#end(attempt, at);
    }
  }

  /** A message whose text the wire does not show. */
  takeMessage(at) {
    if (this.#events.at(-1)?.kind === "empty") this.#events.pop();
    this.#add("message", at);
  }

  #add(kind, at) {
    this.#events.push({ kind, at });
    const isOld = (event) => event.at < at - KEPT_MS;
    while (this.#events.length > EVENTS_MAX || isOld(this.#events[0])) this.#events.shift();
    while (this.#spans.length > 0 && this.#spans[0].to < at - KEPT_MS) this.#spans.shift();
  }

  #end(attempt, at) {
    const from = this.#open.get(attempt);
    this.#open.delete(attempt);
    if (from !== undefined) this.#spans.push({ from, to: at });
    return from !== undefined;
  }

  /** How many events of a kind there were since a time. */
  countSince(kind, since) {
    return this.#events.filter((event) => event.kind === kind && event.at >= since).length;
  }

  /** The outlines of a path element for each kind, for the last `seconds` before `now`. */
  paths(now, seconds) {
    const { width, top, bottom } = BOX;
    const begin = now - seconds * 1000;
    const place = (at) => Math.round(((Math.min(at, now) - begin) / (seconds * 1000)) * (width - 2 * LEAN)) + LEAN;
    const places = (kind) => new Set(this.#events.filter((event) => event.kind === kind && event.at > begin).map(({ at }) => place(at)));
    const draw = (kind, shape) => [...places(kind)].map(shape).join("");
    const spans = [...this.#spans, ...[...this.#open.values()].map((from) => ({ from, to: now }))].filter(({ to }) => to > begin);
    const messages = (x) => `M${x - LEAN} ${bottom}L${x} ${top}`;
    return {
      held: spans.map(({ from, to }) => `M${place(Math.max(from, begin))} ${bottom}H${Math.max(place(to), place(Math.max(from, begin)) + 1)}`).join(""),
      request: draw("request", (x) => `M${x - LEAN} ${top}L${x} ${bottom}`),
      arrow: draw("request", (x) => `M${x - 3} ${bottom - 6}L${x} ${bottom}L${x + 2.5} ${bottom - 6.5}`),
      message: draw("message", messages),
      dot: draw("message", (x) => `M${x} ${top}h0`),
      heartbeat: draw("heartbeat", messages),
      beat: draw("heartbeat", (x) => `M${x - 3} ${top + 3}l3 -4l3 4l-3 4z`),
      empty: draw("empty", messages),
      end: draw("end", (x) => `M${x - 4} ${bottom - 4}l8 8m0 -8l-8 8`),
    };
  }

  /** Draws into the paths of an SVG element, which has one for each kind as `data-kind`. */
  draw(svg, now, seconds) {
    const paths = this.paths(now, seconds);
    for (const path of svg.querySelectorAll("[data-kind]")) {
      const outline = paths[path.dataset.kind];
      if (path.getAttribute("d") !== outline) path.setAttribute("d", outline);
    }
  }
}
