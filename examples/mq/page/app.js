// The page of mq: the processes, the three clients, the publisher, and the account of all.
//
// Owns what the user sees and does. Leaves the connections to clients.js, and the rules of the account
// to account.js.

import { sleep, subscribe, token } from "/pushlab.js";
import { Ledger, Receipt } from "/account.js";
import { PushClient, RETRY_MS, Servers, StompClient } from "/clients.js";

const TOPIC = "mq";
const LOOK_MS = 1000; // between two looks at the servers' figures
const PATIENCE_MS = 20_000; // a server answers a publisher in 10 s, whatever its log does
// Messages without an answer, for each server. A browser has six connections to a server: two are for
// the event stream and the long poll, and one for the figures.
const WAITING_MAX = 3;
const DELAYS = 200;
const EVENTS = 40;
const DRAW_MS = 200;

const $ = (id) => document.getElementById(id);
const page = token("page");
const ledger = new Ledger();
const servers = new Servers();

// ---- What happened ------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function note(words) {
  const [item, time, text] = ["li", "time", "span"].map((name) => document.createElement(name));
  time.textContent = clock.format(new Date());
  text.textContent = words;
  item.append(time, text);
  $("events").prepend(item);
  while ($("events").childElementCount > EVENTS) $("events").lastElementChild.remove();
}

function tell(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = words === "";
}

const inSeconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

function element(name, options = {}, children = []) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

// ---- Processes ----------------------------------------------------------------------------------

const titleOf = (name) => (name === "broker" ? "Broker" : name.replace("server-", "Server "));

/** The card of a process. `change` is `null` for a broker that this program has not started. */
class ProcessCard {
  #rows = element("dl");
  #error = element("p", { className: "error", hidden: true });
  #words = element("span");
  #place = element("p", { className: "place" });
  #kill;
  #start;
  #figures = {};
  state = null;

  constructor(name) {
    this.name = name;
    const heading = element("header", {}, [element("h3", { textContent: titleOf(name) }), element("p", { className: "state" }, [this.#words])]);
    this.article = element("article", {}, [heading, this.#place, this.#rows, this.#error]);
    this.article.dataset.process = name;
    this.#kill = element("button", { type: "button", textContent: "Kill", ariaLabel: `Kill ${titleOf(name)}` });
    this.#start = element("button", { type: "button", textContent: "Start", ariaLabel: `Start ${titleOf(name)}`, disabled: true });
    for (const [button, action] of [[this.#kill, "kill"], [this.#start, "start"]]) {
      button.className = action;
      button.addEventListener("click", () => this.#change(action));
    }
    $("processes").append(this.article);
  }

  withButtons() {
    this.article.append(element("div", { className: "buttons" }, [this.#kill, this.#start]));
    return this;
  }

  /** The figures of one source, by their labels. A label without a figure is not shown. */
  show(figures) {
    Object.assign(this.#figures, figures);
    const shown = Object.entries(this.#figures).filter(([, figure]) => figure !== null && figure !== undefined);
    this.#rows.replaceChildren(...shown.flatMap(([label, figure]) => [element("dt", { textContent: label }), element("dd", { textContent: figure })]));
  }

  place(text) {
    this.#place.textContent = text;
  }

  enter(state, words, error = "") {
    this.article.dataset.state = state;
    this.#words.textContent = words;
    this.#error.textContent = error;
    this.#error.hidden = error === "";
  }

  update(process) {
    const { state, address, pid, starts, ended } = process;
    if (this.state !== null && this.state !== state) note(`${titleOf(this.name)}: ${state}${state === "ended" ? ` (${ended})` : ""}`);
    this.state = state;
    this.place(address ?? "");
    this.show({ Process: pid ?? "–", Starts: starts });
    this.enter({ running: "live", starting: "wait", ended: "down" }[state], state === "ended" ? ended : state);
    this.#kill.disabled = state === "ended";
    this.#start.disabled = state !== "ended";
  }

  async #change(action) {
    this.#kill.disabled = this.#start.disabled = true; // until the list of processes has changed
    const response = await fetch(`/processes/${this.name}/${action}`, { method: "POST" }).catch(() => null);
    if (!response?.ok) tell(response ? (await response.text()).trim() : "The page's server does not answer.");
  }
}

const cards = new Map();

function card(name) {
  if (!cards.has(name)) cards.set(name, new ProcessCard(name));
  return cards.get(name);
}

let begin; // of the clients: once the page knows the servers
const known = new Promise((resolve) => (begin = resolve));

function takeProcesses(processes) {
  if (cards.size === 0) {
    if (!processes.some(({ name }) => name === "broker")) card("broker").place("yours: this page cannot end it");
    for (const { name } of processes) card(name).withButtons();
  }
  for (const process of processes) card(process.name).update(process);
  servers.update(processes);
  begin();
}

subscribe("/topics", {
  topics: "processes",
  technique: "events",
  after: "earliest",
  retryMs: RETRY_MS,
  onmessage: ({ data }) => takeProcesses(JSON.parse(data)),
  onstate: (state) => tell(state === "live" || state === "connecting" ? "" : "The server of this page does not answer. It has ended, or cannot be reached."),
});

const LOG_WORDS = { following: "follows the log", "catching-up": "reads the log", away: "log away" };

/** Asks a server for its figures. Returns the state of the log as the server sees it. */
async function look(server) {
  const here = card(server.name);
  if (server.state !== "running") {
    here.show({ Log: null, "Has applied": null, "Waiting for the log": null, Subscribers: null });
    return null;
  }
  try {
    const response = await fetch(`${servers.urlOf(server)}/stats`, { cache: "no-store", signal: AbortSignal.timeout(LOOK_MS * 3) });
    const { log, topic } = await response.json();
    // The server may have ended meanwhile.
    if (here.state !== "running") return null;
    const subscribers = Object.values(topic?.subscribers ?? {}).reduce((sum, count) => sum + count, 0);
    here.show({ Log: LOG_WORDS[log.state], "Has applied": log.applied, "Waiting for the log": log.spool_messages, Subscribers: subscribers });
    here.enter(log.state === "following" ? "live" : "wait", log.state === "following" ? "running" : LOG_WORDS[log.state], log.state === "away" ? log.error ?? "" : "");
    return log;
  } catch {
    return null;
  }
}

async function lookAtServers() {
  await known;
  for (let before = "following", since = 0; ; await sleep(LOOK_MS)) {
    const logs = (await Promise.all(servers.list.map(look))).filter((log) => log !== null);
    if (logs.length === 0) continue;
    const isAway = logs.every((log) => log.state === "away");
    const now = isAway ? "away" : "following";
    if (now !== before && isAway) {
      since = performance.now();
      note("The servers have lost the log. They keep what is published, for some seconds.");
    } else if (now !== before) note(`The log is back after ${inSeconds(since)}.`);
    before = now;
    if (!$("processes").querySelector('[data-process="broker"] .buttons')) {
      card("broker").place(`yours: ${logs[0].name}`);
      card("broker").enter(isAway ? "down" : "live", isAway ? "away" : "running", isAway ? logs[0].error ?? "" : "");
    }
  }
}

// ---- Clients ------------------------------------------------------------------------------------

class ClientPanel {
  receipt = new Receipt(ledger);
  changes = -1; // the first server is no change
  delays = [];
  #server = "";
  #newest = element("p", { className: "newest", textContent: "–" });
  #id = element("p", { className: "id", textContent: "no message yet" });
  #words = element("span", { textContent: "connecting" });
  #place = element("p", { className: "place" });
  #lostAt = null;
  #begin;
  /** The client has a cursor. What is published from then on must arrive. */
  begun = new Promise((resolve) => (this.#begin = resolve));

  constructor(title, endpoint, open) {
    this.title = title;
    this.endpoint = endpoint;
    const heading = element("header", {}, [element("h3", { textContent: title }), element("p", { className: "state" }, [this.#words])]);
    const move = element("button", { type: "button", textContent: "Next server", ariaLabel: `${title}: go to the next server` });
    move.addEventListener("click", () => this.client?.move());
    this.article = element("article", {}, [heading, this.#place, this.#newest, this.#id, element("div", { className: "buttons" }, [move])]);
    this.article.dataset.client = title;
    $("clients").append(this.article);
    this.row = element("tr");
    $("account").tBodies[0].append(this.row);
    this.#state("connecting", "connecting");
    const hooks = {
      message: (id, text) => this.#take(id, text),
      gap: () => this.#gap(),
      state: (state, words) => this.#state(state, words),
      server: (name) => this.#at(name),
    };
    known.then(() => (this.client = open(hooks)));
  }

  /** The client cannot run. */
  fail(words) {
    this.#state("down", "cannot run");
    this.#id.textContent = words;
    this.#begin();
  }

  #at(name) {
    this.#server = titleOf(name);
    this.changes += 1;
    this.article.dataset.server = name;
    this.#place.textContent = `${this.endpoint} of ${this.#server}`;
  }

  #state(state, words) {
    this.article.dataset.state = state;
    this.#words.textContent = words;
    if (state === "live") this.#begin();
    if (state === "down" || state === "cut") this.#lostAt ??= performance.now();
    if (state !== "live" || this.#lostAt === null) return;
    note(`${this.title} continues at ${this.#server} after ${inSeconds(this.#lostAt)}.`);
    this.#lostAt = null;
  }

  #gap() {
    this.receipt.gap();
    note(`${this.title} was told that messages are missing.`);
  }

  #take(id, text) {
    const own = readOwn(text);
    this.receipt.take(id, own?.number ?? null);
    this.#newest.textContent = own ? `No. ${own.number}` : shorten(text);
    this.#id.textContent = `id ${id}`;
    if (own) this.delays = [...this.delays.slice(1 - DELAYS), performance.now() - own.at];
  }

  draw() {
    const { arrived, onTheirWay, told, missing, twice, disordered } = this.receipt;
    const sorted = this.delays.toSorted((a, b) => a - b);
    const below = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const delay = sorted.length === 0 ? "–" : `${below(0.5).toFixed(1)} / ${below(0.99).toFixed(1)} ms`;
    const cells = [arrived, onTheirWay, told, missing, twice, disordered, delay, Math.max(this.changes, 0)];
    const bad = [3, 4, 5];
    this.row.replaceChildren(
      element("th", { scope: "row", textContent: this.title }),
      ...cells.map((cell, at) => element("td", { textContent: cell, className: bad.includes(at) && cell > 0 ? "bad" : "" })),
    );
  }
}

const shorten = (text) => (text.length > 30 ? `${text.slice(0, 30)}…` : text);

/** A message that this page has published: `PAGE NUMBER TIME`, with the time of this page's clock. */
function readOwn(text) {
  const [from, number, at] = text.split(" ");
  return from === page ? { number: Number(number), at: Number(at) } : null;
}

const HOW_TO_GET_STOMPJS =
  "STOMP.js could not be loaded from cdn.jsdelivr.net. Without the internet: npm install @stomp/stompjs, and start mq with --stompjs node_modules/@stomp/stompjs/bundles/stomp.umd.min.js.";

const panels = [
  new ClientPanel("STOMP.js", "/stomp", (hooks) => {
    if (globalThis.StompJs) return new StompClient(TOPIC, servers, 0, hooks);
    panels[0].fail(HOW_TO_GET_STOMPJS);
    return null;
  }),
  new ClientPanel("Server-sent events", `/topics/${TOPIC}/events`, (hooks) => new PushClient("events", TOPIC, servers, 1, hooks)),
  new ClientPanel("Long polling", `/topics/${TOPIC}/long-poll`, (hooks) => new PushClient("long-poll", TOPIC, servers, 2, hooks)),
];

// ---- The publisher ------------------------------------------------------------------------------

const waiting = new Map(); // messages without an answer, by server

async function publish() {
  const server = servers.next(publish);
  const before = waiting.get(server.name) ?? 0;
  if (before === WAITING_MAX) return;
  waiting.set(server.name, before + 1);
  const number = ledger.send();
  try {
    const response = await fetch(`${servers.urlOf(server)}/topics/${TOPIC}`, {
      method: "POST",
      body: `${page} ${number} ${performance.now()}`,
      headers: { "Content-Type": "text/plain" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.status === 202) ledger.confirm(number, (await response.json()).id);
    else ledger.fail();
  } catch {
    ledger.fail(); // the server has ended, or does not answer
  }
  waiting.set(server.name, waiting.get(server.name) - 1);
}

async function publishAll() {
  await known;
  await Promise.all(panels.map(({ begun }) => begun));
  for (;;) {
    const rate = Number($("rate").value);
    if (rate > 0) publish();
    await sleep(rate > 0 ? 1000 / rate : DRAW_MS);
  }
}

// ---- The account --------------------------------------------------------------------------------

function draw() {
  for (const panel of panels) panel.draw();
  const running = panels.filter(({ client }) => client);
  const sum = (name) => running.reduce((total, { receipt }) => total + receipt[name], 0);
  const { sent, confirmed, unconfirmed, waiting } = ledger;
  const bad = sum("missing") + sum("twice") + sum("disordered");
  const told = sum("told");
  const all = `${sent} sent: ${confirmed} confirmed, ${unconfirmed} not confirmed, ${waiting} without an answer yet.`;
  const judgement =
    bad > 0 ? "Something is wrong: see the table."
    : told > 0 ? "Messages were lost, and the clients were told."
    : "No confirmed message is missing, none came twice, and all came in order.";
  $("verdict").textContent = `${all} ${judgement}`;
  $("verdict").dataset.verdict = bad > 0 ? "bad" : "good";
}

setInterval(draw, DRAW_MS);
draw();
lookAtServers();
publishAll();
