// The feeds' page: one subscription to all topics, and a card for each figure.
//
// Owns what the user sees. Leaves the connection to pushlab.js. The page never requests figures: the
// server pushes all of them.

import { subscribe, techniques } from "/pushlab.js";
import "/older.js";
import { Meter } from "/meter.js";
import { wordsOf } from "/states.js";

const TOPICS = ["monitor", "quotes", "plug"];
const SHOWN_S = 120; // the longest time that a chart shows
const SHOWN_LEAST_S = 20; // the shortest
const [WIDTH, HEIGHT] = [120, 40];
const EVENTS_MAX = 50;
const SVG = "http://www.w3.org/2000/svg";

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const counts = new Map(TOPICS.map((topic) => [topic, 0]));

// ---- Charts -------------------------------------------------------------------------------------

/** The last two minutes of one or more figures, at the times that the messages carry. */
class Chart {
  #points = [];
  #lines;
  #range;

  /** `range(values)` returns the values at the bottom and at the top of the chart. */
  constructor(parent, lines, range) {
    this.#range = range;
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(draw("path", { d: `M0 ${HEIGHT}h${WIDTH}`, "vector-effect": "non-scaling-stroke" }));
    this.#lines = Array.from({ length: lines }, () => draw("polyline", { points: "", "vector-effect": "non-scaling-stroke" }));
    svg.append(...this.#lines);
    parent.append(svg);
  }

  push(at, ...values) {
    this.#points.push({ at, values });
    while (this.#points[0].at < at - SHOWN_S * 1000) this.#points.shift();
    redraw.add(this);
  }

  draw() {
    const end = this.#points.at(-1).at;
    const [low, high] = this.#range(this.#points.flatMap(({ values }) => values));
    const shownS = Math.max(SHOWN_LEAST_S, (end - this.#points[0].at) / 1000);
    const x = (at) => (WIDTH * (1 - (end - at) / 1000 / shownS)).toFixed(2);
    const y = (value) => (HEIGHT - 1 - ((value - low) / (high - low || 1)) * (HEIGHT - 2)).toFixed(2);
    for (const [which, line] of this.#lines.entries()) {
      line.setAttribute("points", this.#points.map(({ at, values }) => `${x(at)},${y(values[which])}`).join(" "));
    }
  }
}

function draw(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}

// A burst of messages, such as the retained ones at the start, is drawn once.
const redraw = new Set();

function frame() {
  if (redraw.size > 0) account();
  for (const chart of redraw) chart.draw();
  redraw.clear();
  requestAnimationFrame(frame);
}

const share = () => [0, 1];
const fromZero = (values) => [0, Math.max(...values)];
const around = (values) => [Math.min(...values), Math.max(...values)];

// ---- This machine -------------------------------------------------------------------------------

const cards = Object.fromEntries([...document.querySelectorAll("[data-card]")].map((card) => [card.dataset.card, card]));
const charts = {
  cpu: new Chart(cards.cpu, 1, share),
  memory: new Chart(cards.memory, 1, share),
  network: new Chart(cards.network, 2, fromZero),
  process: new Chart(cards.process, 1, fromZero),
};

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; count >= 1000 && at < units.length - 1; at += 1) count /= 1024;
  return `${count < 10 && at > 0 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

const percent = (part) => `${Math.round(part * 100)} %`;

function figures(card, value, detail) {
  card.querySelector(".value").textContent = value;
  card.querySelector(".detail").textContent = detail;
}

/** Shows a message of the topic `monitor`. A figure that the server could not read is `null`. */
function monitor({ at, load, cores, memory, network, process, sensors }) {
  if (cores?.length > 0) {
    const busy = cores.reduce((sum, core) => sum + core, 0) / cores.length;
    figures(cards.cpu, percent(busy), load ? `load ${load.map((number) => number.toFixed(2)).join(", ")}` : "");
    charts.cpu.push(at, busy);
    showCores(cores);
  }
  if (memory) {
    const part = memory.used_bytes / memory.total_bytes;
    figures(cards.memory, percent(part), `${bytes(memory.used_bytes)} of ${bytes(memory.total_bytes)}`);
    charts.memory.push(at, part);
  }
  if (network) {
    const sum = (way) => network.reduce((total, each) => total + each[way], 0);
    const busiest = network.toSorted((one, other) => other.in + other.out - one.in - one.out)[0];
    const most = busiest && busiest.in + busiest.out > 0 ? `most on ${busiest.name}` : "all quiet";
    figures(cards.network, `↓ ${bytes(sum("in"))}/s`, `↑ ${bytes(sum("out"))}/s, ${most}`);
    charts.network.push(at, sum("in"), sum("out"));
  }
  if (process) {
    figures(cards.process, bytes(process.rss_bytes), process.threads === 1 ? "one thread" : `${process.threads} threads`);
    charts.process.push(at, process.rss_bytes);
  }
  showSensors(sensors);
}

function showCores(cores) {
  const row = cards.cpu.querySelector(".cores");
  while (row.childElementCount > cores.length) row.lastElementChild.remove();
  while (row.childElementCount < cores.length) row.append(document.createElement("i"));
  for (const [at, core] of cores.entries()) {
    row.children[at].style.setProperty("--busy", `${(core * 100).toFixed(1)}%`);
    row.children[at].title = `core ${at}: ${percent(core)}`;
  }
  row.setAttribute("aria-label", `cores: ${cores.map(percent).join(", ")}`);
}

function showSensors(sensors) {
  cards.sensors.hidden = sensors.length === 0;
  const items = sensors.map(({ name, kind, value }) => {
    const [item, label, figure] = ["li", "span", "b"].map((tag) => document.createElement(tag));
    label.textContent = name;
    label.title = name;
    figure.textContent = kind === "temperature" ? `${value.toFixed(1)} °C` : `${value.toFixed(2)} V`;
    item.append(label, figure);
    return item;
  });
  cards.sensors.querySelector("ul").replaceChildren(...items);
}

// ---- Quotes -------------------------------------------------------------------------------------

const quotes = new Map();

function quote({ at, name, price, opening }) {
  if (!quotes.has(name)) quotes.set(name, newQuote(name));
  const { card, chart } = quotes.get(name);
  const change = (price / opening - 1) * 100;
  figures(card, price.toFixed(2), `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)} %`);
  card.querySelector(".detail").className = `detail ${change < 0 ? "falling" : "up"}`;
  chart.push(at, price);
}

function newQuote(name) {
  const card = document.createElement("article");
  const [title, value, detail] = ["h3", "p", "p"].map((tag) => document.createElement(tag));
  title.textContent = name;
  [value.className, detail.className] = ["value", "detail"];
  card.append(title, value, detail);
  const list = $("quotes").querySelector(".cards");
  list.append(card);
  list.append(...[...list.children].sort((one, other) => one.textContent.localeCompare(other.textContent)));
  return { card, chart: new Chart(card, 1, around) };
}

// ---- Devices ------------------------------------------------------------------------------------

const KINDS = { net: "network interface", block: "block device" };

function plug({ at, action, kind, name }) {
  const [item, time, words] = ["li", "time", "span"].map((tag) => document.createElement(tag));
  time.dateTime = new Date(at).toISOString();
  time.textContent = clock.format(at);
  words.textContent = `${KINDS[kind]} ${name} ${action === "add" ? "came" : "went"}`;
  item.append(time, words);
  const list = $("plug").querySelector("ol");
  list.prepend(item);
  while (list.childElementCount > EVENTS_MAX) list.lastElementChild.remove();
  $("plug").querySelector(".empty").hidden = true;
}

// ---- The subscription ---------------------------------------------------------------------------

const SHOW = { monitor, quotes: quote, plug };
let subscription = null;
let meter = null;
let messages = 0; // of this subscription
let before = 0; // of all subscriptions before this one

function begin(technique) {
  before += messages;
  messages = 0;
  meter = new Meter();
  const after = subscription?.cursor ?? "earliest";
  subscription?.close(); // a closed subscription calls no hook any more
  subscription = subscribe("/topics", {
    topics: TOPICS,
    technique,
    after,
    onmessage: ({ topic, data }) => {
      messages += 1;
      counts.set(topic, counts.get(topic) + 1);
      SHOW[topic](JSON.parse(data));
    },
    ongap: () => ($("gap").hidden = false),
    onstate: (state, detail) => {
      document.body.dataset.state = state;
      document.body.dataset.technique = technique;
      $("words").textContent = wordsOf(state, detail);
    },
    onwire: meter.onwire,
  });
}

function account() {
  $("messages").textContent = before + messages;
  $("messages").dataset.last = subscription.cursor;
  $("requests").textContent = meter.requests;
  $("bytes").textContent = messages > 0 ? bytes(meter.downBytes / messages) : "–";
  $("topics").textContent = [...counts].map(([topic, count]) => `${topic} ${count}`).join(", ");
}

const isOffered = ([, { works }]) => works({ WebSocket, base: location.origin });
for (const [name, { title }] of Object.entries(techniques).filter(isOffered)) $("technique").add(new Option(title, name));
$("technique").value = "events";
$("technique").addEventListener("change", () => begin($("technique").value));

const hasMonitor = document.body.dataset.monitor === "yes";
$("monitor").hidden = !hasMonitor;
$("plug").hidden = !hasMonitor;
$("no-monitor").hidden = hasMonitor;
begin("events");
frame();
