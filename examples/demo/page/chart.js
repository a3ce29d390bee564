// The chart of all techniques: latency against requests, and against bytes for each message.
//
// Two fields share the axis of latency, which goes up. The names stand between them, each joined to its
// mark in both fields. Owns the drawing, by hand: a library for plots would be larger than this page,
// and a page that works offline would need a copy of it in this repository.

import { logAxis, spread, ticks } from "./axis.js";
import { GROUPS } from "./facts.js";

const LATENCY = [0.1, 10_000]; // ms
const REQUESTS = [0.001, 3]; // for each message; 0 is drawn at the left end
const BYTES = [100, 30_000]; // for each message
const NARROW = 34; // em: below, the names are numbers

const latencyWords = (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);
const requestWords = (value) => (value === REQUESTS[0] ? "0" : String(value));
const byteWords = (bytes) => (bytes < 1000 ? `${bytes} B` : `${bytes / 1000} kB`);

/** Creates elements of SVG. */
const make = (name, attributes = {}, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

/** The outlines of the marks, around their middle. */
const OUTLINES = {
  asks: "M-.45 -.45h.9v.9h-.9z",
  held: "M0 -.6L.6 0L0 .6L-.6 0z",
  streams: "M-.5 0a.5 .5 0 1 0 1 0a.5 .5 0 1 0 -1 0z",
  "both-ways": "M0 -.6L.58 .45H-.58z",
};

export class Chart {
  #svg;
  #size = "";
  #frame = null;
  #marks = new Map();

  constructor(svg, feeds) {
    this.#svg = svg;
    this.feeds = feeds;
    this.#svg.setAttribute("aria-label", "Chart: latency of each technique against its requests and its bytes for each message. The table has the same figures.");
  }

  /** Draws the figures of the feeds, as `{key, isShown, p50, requestsPerMessage, bytesPerMessage}`. */
  render(figures, payloadBytes) {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0) return;
    const em = parseFloat(getComputedStyle(this.#svg).fontSize);
    const size = `${width} ${height} ${em}`;
    if (size !== this.#size) this.#layOut(width, height, em);
    this.#size = size;
    this.#place(figures, payloadBytes);
  }

  #layOut(width, height, em) {
    const isNarrow = width < NARROW * em;
    const names = isNarrow ? 2 * em : 13.4 * em;
    const [left, right, top, bottom] = [4 * em, width - 0.8 * em, 1.7 * em, height - 2.9 * em];
    const middle = (left + right) / 2;
    const frame = { em, isNarrow, top, bottom, requests: [left, middle - names / 2], bytes: [middle + names / 2, right], middle };
    frame.latency = logAxis(...LATENCY, bottom - 0.6 * em, top + 0.6 * em);
    frame.requestsAt = logAxis(...REQUESTS, frame.requests[0] + 0.9 * em, frame.requests[1] - 1.2 * em);
    frame.bytesAt = logAxis(...BYTES, frame.bytes[0] + 1.2 * em, frame.bytes[1] - 0.9 * em);
    this.#frame = frame;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const grid = make("g", { class: "grid" });
    for (const ms of ticks(...LATENCY)) {
      const y = frame.latency(ms);
      grid.append(make("path", { d: `M${frame.requests[0]} ${y}H${frame.requests[1]}M${frame.bytes[0]} ${y}H${frame.bytes[1]}` }));
      grid.append(make("text", { x: left - 0.5 * em, y: y + 0.35 * em, "text-anchor": "end" }, latencyWords(ms)));
    }
    const across = (field, at, values, words, title) => {
      for (const value of values) {
        const x = at(value);
        grid.append(make("path", { d: `M${x} ${top}V${bottom}` }));
        grid.append(make("text", { x, y: bottom + 1.15 * em, "text-anchor": "middle" }, words(value)));
      }
      grid.append(make("text", { class: "title", x: (field[0] + field[1]) / 2, y: bottom + 2.5 * em, "text-anchor": "middle" }, title));
    };
    const short = isNarrow ? "" : " →";
    across(frame.requests, frame.requestsAt, isNarrow ? [0.001, 0.1] : ticks(...REQUESTS), requestWords, `${isNarrow ? "requests" : "requests a message"}${short}`);
    across(frame.bytes, frame.bytesAt, ticks(...BYTES), byteWords, `${isNarrow ? "bytes" : "bytes a message"}${short}`);
    grid.append(make("text", { class: "title", x: 0, y: 0.9 * em }, `↑ latency: half of the messages come within ${isNarrow ? "it" : "this time"}`));
    const payload = make("path", { class: "payload" });
    const payloadText = make("text", { class: "payload", "text-anchor": "middle" }, isNarrow ? "" : "its content");
    this.#marks = new Map(this.feeds.map(({ key, fact, technique }, index) => [key, this.#mark(fact.group, index + 1, technique.title)]));
    this.#svg.replaceChildren(grid, payload, payloadText, ...[...this.#marks.values()].map(({ group }) => group));
    Object.assign(this.#frame, { payload, payloadText });
  }

  #mark(groupName, index, title) {
    const group = make("g", { class: "mark", "data-group": groupName });
    const parts = {
      group,
      stems: group.appendChild(make("path", { class: "stem" })),
      requests: group.appendChild(make("path", { d: OUTLINES[groupName], class: "shape" })),
      bytes: group.appendChild(make("path", { d: OUTLINES[groupName], class: "shape" })),
      name: group.appendChild(make("text", { "text-anchor": "middle", class: "name" }, this.#frame.isNarrow ? index : `${index} ${title}`)),
      half: 0,
    };
    return parts;
  }

  #place(figures, payloadBytes) {
    const { em, top, bottom, middle, latency, requestsAt, bytesAt, payload, payloadText } = this.#frame;
    const shown = figures.filter(({ isShown, p50, bytesPerMessage }) => isShown && p50 !== undefined && bytesPerMessage !== undefined);
    const names = spread(shown.map(({ p50 }) => latency(p50)), 1.4 * em, top + 0.5 * em, bottom - 0.5 * em);
    for (const { group } of this.#marks.values()) group.setAttribute("visibility", "hidden");
    shown.forEach(({ key, p50, requestsPerMessage, bytesPerMessage }, index) => {
      const { group, stems, requests, bytes, name, half } = this.#marks.get(key);
      const [y, x1, x2] = [latency(p50), requestsAt(requestsPerMessage), bytesAt(bytesPerMessage)];
      group.setAttribute("visibility", "visible");
      const halfWidth = half || name.getComputedTextLength() / 2 + 0.35 * em;
      this.#marks.get(key).half = halfWidth;
      for (const [shape, x] of [[requests, x1], [bytes, x2]]) shape.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${(0.95 * em).toFixed(2)})`);
      name.setAttribute("x", middle);
      name.setAttribute("y", (names[index] + 0.35 * em).toFixed(1));
      stems.setAttribute("d", `M${x1.toFixed(1)} ${y.toFixed(1)}L${(middle - halfWidth).toFixed(1)} ${names[index].toFixed(1)}M${(middle + halfWidth).toFixed(1)} ${names[index].toFixed(1)}L${x2.toFixed(1)} ${y.toFixed(1)}`);
    });
    const x = bytesAt(payloadBytes).toFixed(1);
    payload.setAttribute("d", `M${x} ${top}V${bottom}`);
    payloadText.setAttribute("x", x);
    payloadText.setAttribute("y", top - 0.3 * em);
  }
}

/** The words for the groups' marks. */
export const legendWords = () => Object.entries(GROUPS).map(([name, { mark, words }]) => ({ name, mark, words }));
