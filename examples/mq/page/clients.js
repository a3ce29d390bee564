// The three clients, each of which goes to the next server when its server ends.
//
// Owns the choice of the server, the reconnection, and the cursor that goes along. Leaves what the
// messages mean to account.js, and the page to app.js.

import { subscribe } from "/pushlab.js";
import { wordsOf } from "/states.js";

const PAUSE_MS = 300; // before the next attempt
export const RETRY_MS = [500, 4000]; // the shortest and the longest back-off
const HEART_BEAT_MS = 4000; // both sides of a STOMP connection send at least so often

/** The servers, in a fixed order. The list is empty until the page has got it. */
export class Servers {
  list = [];
  #places = new Map();

  /** Takes the list of processes. The ports never change; what runs does. */
  update(processes) {
    this.list = processes.filter(({ name }) => name.startsWith("server-"));
  }

  urlOf({ address }) {
    // The page's own host name, so that the browser treats both as one site.
    return `http://${location.hostname}:${address.split(":").at(-1)}`;
  }

  /** The server after the last one that this user got. One that runs, if there is one. */
  next(user, first = 0) {
    const from = this.#places.has(user) ? this.#places.get(user) + 1 : first;
    const order = this.list.map((_, at) => (from + at) % this.list.length);
    const place = order.find((at) => this.list[at].state === "running") ?? order[0];
    this.#places.set(user, place);
    return this.list[place];
  }
}

/**
 * A client of pushlab.js. `hooks`: `message(id, text)`, `gap()`, `state(state, words)` and
 * `server(name)`.
 */
export class PushClient {
  #subscription;

  constructor(technique, topics, servers, first, hooks) {
    // Each connection goes to the next server.
    const url = () => {
      const server = servers.next(this, first);
      hooks.server(server.name);
      return `${servers.urlOf(server)}/topics`;
    };
    this.#subscription = subscribe(url, {
      topics,
      technique,
      retryMs: RETRY_MS,
      onmessage: ({ id, data }) => hooks.message(id, data),
      ongap: () => hooks.gap(),
      onstate: (state, detail) => hooks.state(state, wordsOf(state, detail)),
    });
  }

  get cursor() {
    return this.#subscription.cursor;
  }

  move() {
    this.#subscription.reconnect();
  }
}

/** A client of STOMP.js, as its users write it. The same hooks. */
export class StompClient {
  cursor = null; // the id of the last message, which a server takes as `after`
  #client;
  #topic;
  #servers;
  #hooks;
  #trouble = "";

  constructor(topic, servers, first, hooks) {
    this.#topic = topic;
    this.#servers = servers;
    this.#hooks = hooks;
    this.#client = new globalThis.StompJs.Client({
      reconnectDelay: PAUSE_MS,
      heartbeatIncoming: HEART_BEAT_MS,
      heartbeatOutgoing: HEART_BEAT_MS,
      beforeConnect: () => this.#connect(first),
      onConnect: () => this.#connected(),
      onStompError: ({ headers }) => (this.#trouble = headers.message),
      onWebSocketClose: ({ code }) => {
        hooks.state("down", this.#trouble || `closed with ${code}`);
        this.#trouble = "";
      },
    });
    this.#client.activate();
  }

  move() {
    this.#client.forceDisconnect();
  }

  async #connect(first) {
    const server = this.#servers.next(this, first);
    const base = this.#servers.urlOf(server);
    this.#hooks.server(server.name);
    this.#hooks.state("connecting", "connecting");
    this.#client.brokerURL = `${base.replace("http", "ws")}/stomp`;
    // The cursor is read before the first connection. If that connection fails, the next one misses
    // no message. Without an answer, that connection fails, too.
    this.cursor ??= await fetch(`${base}/topics/${this.#topic}/poll`, { cache: "no-store" })
      .then((response) => response.json())
      .then(({ last }) => last, () => null);
  }

  #connected() {
    this.#hooks.state("live", "live");
    const headers = this.cursor === null ? {} : { after: this.cursor };
    this.#client.subscribe(`/topic/${this.#topic}`, (message) => this.#take(message), headers);
  }

  #take({ headers, body }) {
    // A gap is a message of its own, with the cursor from which the stream goes on.
    if (headers.gap !== undefined) this.#hooks.gap();
    this.cursor = headers["message-id"];
    if (headers.gap === undefined) this.#hooks.message(this.cursor, body);
  }
}
