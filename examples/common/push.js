// The browser's side of every technique: one subscription to a hub's topics, resumed by its cursor whatever happens to the connection.
//
// Owns requests, frames on the wire, coming back, and the account of what a subscription costs. Refuses to know what messages mean and what
// the page looks like.

const RETRY_MS = 250; // before the first new attempt; twice as long before each one after it
const RETRY_MAX_MS = 4000;
const SETTLED_MS = 1500; // an attempt that lasted this long was a success
const WAIT_S = 25; // that a long poll asks to be held
const PATIENCE_MS = 5000; // for what is answered at once
const HELD_MS = WAIT_S * 1000 + PATIENCE_MS;

const encoder = new TextEncoder();
export const bytesOf = (text) => encoder.encode(text).length;
export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** A name for this client that nobody else has. */
export const token = (prefix = "web") =>
  prefix + Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Publishes, and returns the message's id. */
export async function publish(topic, text, { base = "/topics", event, headers = {} } = {}) {
  const query = event ? `?event=${encodeURIComponent(event)}` : "";
  const response = await fetch(`${base}/${topic}${query}`, {
    method: "POST",
    body: text,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...headers },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return (await response.json()).id;
}

/**
 * A subscription. It begins at once and lasts until `close()`.
 *
 * `hooks`: `message(envelope)`, `gap(from)`, `state(state, words)`, all optional. States: `connecting`, `live`, `down`, `cut`, `closed`.
 * `options`: `base` (where the hub is mounted), `after` (a cursor or `earliest`), `client` (a token), `presence`, `every` (seconds between
 * polls), `container` (an element for frames that are to be seen).
 *
 * `requests`, `downBytes`, `messages` and `gaps` count from its beginning. Bytes are what HTTP and WebSocket put on the wire towards the
 * browser; scripts cannot see the heads that the browser sends.
 */
export class Subscription {
  state = "connecting";
  cursor = null;
  requests = 0;
  downBytes = 0;
  messages = 0;
  gaps = 0;
  trouble = ""; // why the last attempt ended

  #attempt = new AbortController();
  #pauseMs = 0;
  #isClosed = false;

  constructor(technique, topics, hooks = {}, options = {}) {
    this.technique = technique;
    this.topics = [topics].flat().join(",");
    this.hooks = hooks;
    this.options = { base: "/topics", every: 2, ...options };
    this.cursor = this.options.after ?? null;
    this.run = TECHNIQUES[technique].run;
    this.finished = this.#run();
  }

  /** Ends the connection as a lost network would, and comes back after a pause. */
  cut(pauseMs = 0) {
    this.#pauseMs = pauseMs;
    this.#enter("cut", pauseMs > 0 ? `cut for ${pauseMs / 1000} s` : "cut");
    this.#attempt.abort();
  }

  close() {
    this.#isClosed = true;
    this.#enter("closed");
    this.#attempt.abort();
    return this.finished;
  }

  async #run() {
    for (let failures = 0; !this.#isClosed; ) {
      this.#attempt = new AbortController();
      const { signal } = this.#attempt;
      const [began, before] = [performance.now(), this.messages];
      this.#enter("connecting");
      try {
        // Messages of the first moments must not be missed if the first connection is: where to begin is known before it.
        this.cursor ??= await place(this, signal);
        await this.run(this, signal);
      } catch (error) {
        if (!signal.aborted) {
          this.trouble = error.message;
          console.debug(`${this.technique}: ${error.message}`);
        }
      }
      if (this.#isClosed) return;
      if (signal.aborted) {
        await sleep(this.#pauseMs, (this.#attempt = new AbortController()).signal);
        continue;
      }
      // What a stream ends by itself is no failure, and is taken up at once.
      const isSettled = this.messages > before || performance.now() - began > SETTLED_MS;
      failures = isSettled ? 0 : failures + 1;
      if (isSettled && this.state === "live") continue;
      const wait = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** failures) * (0.75 + Math.random() / 2);
      this.#enter("down", `again in ${(wait / 1000).toFixed(1)} s`);
      await sleep(wait, signal);
    }
  }

  #enter(state, words = state) {
    if (this.state === "closed") return;
    this.state = state;
    this.hooks.state?.(state, words);
  }

  // What techniques tell.

  /** The server has answered: from now on messages come. */
  live() {
    if (this.state === "connecting" || this.state === "down") this.#enter("live");
  }

  down(words) {
    this.#enter("down", words);
  }

  received(bytes) {
    this.downBytes += bytes;
  }

  /** Takes what came in an envelope: a message, or word of a gap. */
  take(envelope) {
    // What came along with the message at which this was closed is behind its cursor.
    if (this.#isClosed) return undefined;
    this.live();
    if (envelope.gap) {
      this.gaps += 1;
      if (envelope.from) this.cursor = envelope.from;
      return this.hooks.gap?.(envelope.from ?? null);
    }
    this.cursor = envelope.id;
    this.messages += 1;
    return this.hooks.message?.(envelope);
  }

  /** Takes the answer to a poll. Returns whether there was more than fitted into it: then the next poll is not to wait. */
  takeAnswer({ messages, last, gap, from, more = false }) {
    this.live();
    if (gap) this.take({ gap, from });
    for (const message of messages) this.take(message);
    if (!this.#isClosed) this.cursor = last;
    return more;
  }

  /** The address of a technique's endpoint, with the cursor and what else it takes. */
  url(endpoint, parameters = {}) {
    const { base, client, presence } = this.options;
    const query = new URLSearchParams(parameters);
    if (this.cursor) query.set("after", this.cursor);
    if (client) query.set("client", client);
    if (presence) query.set("presence", "1");
    return `${base}/${this.topics}/${endpoint}?${query}`;
  }
}

// ---- What goes over the wire -----------------------------------------------------------------------------------------------------

/** Bytes of a response head, from the fields that the browser shows. */
export function headBytes(response) {
  let bytes = bytesOf(`HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`);
  for (const [name, value] of response.headers) bytes += bytesOf(`${name}: ${value}\r\n`);
  return bytes;
}

/** Scripts cannot see the heads of what event sources, frames and script elements load: the same one is asked for once by itself. */
async function likelyHeadBytes(subscription, endpoint, parameters, signal) {
  const url = new URL(subscription.url(endpoint, parameters), location.href);
  url.searchParams.delete("client");
  return headBytes(await fetch(url, { method: "HEAD", cache: "no-store", signal }));
}

/** `size CRLF data CRLF`, the size in hexadecimal (RFC 9112, section 7.1). */
const chunkBytes = (payload) => payload + payload.toString(16).length + 4;

/** Two bytes, four from 126 bytes on, ten from 64 KiB on; a server does not mask (RFC 6455, section 5.2). */
const frameBytes = (payload) => payload + (payload < 126 ? 2 : payload < 65536 ? 4 : 10);

/** The head of a 101 with the three fields of RFC 6455, section 4.2.2, and the date. */
const SWITCHING_BYTES = 166;

async function request(subscription, url, { signal, patienceMs = PATIENCE_MS, headers } = {}) {
  signal.throwIfAborted(); // a request that is not sent does not count
  subscription.requests += 1;
  const patience = patienceMs === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const response = await fetch(url, { cache: "no-store", headers, signal: patience });
  subscription.received(headBytes(response));
  if (!response.ok && response.status !== 304) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response;
}

/** Takes a response to a poll. Returns whether there is more. */
async function answer(subscription, response) {
  if (response.status === 304) {
    subscription.live();
    return false;
  }
  const text = await response.text();
  subscription.received(bytesOf(text));
  return subscription.takeAnswer(JSON.parse(text));
}

/** The cursor behind everything that there is now. */
async function place(subscription, signal) {
  const response = await request(subscription, subscription.url("poll"), { signal });
  const text = await response.text();
  subscription.received(bytesOf(text));
  return JSON.parse(text).last;
}

/** Loads a script that calls the function whose name `url` is given. */
function loadScript(makeUrl, { signal, patienceMs }) {
  const callback = token("push_");
  const element = document.createElement("script");
  let called = null;
  return new Promise((resolve, reject) => {
    window[callback] = (json) => (called = json);
    element.onload = () => (called ? resolve(called) : reject(new Error("the script did not call")));
    element.onerror = () => reject(new Error("the script did not load"));
    AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]).addEventListener("abort", () => reject(new Error("given up")), { once: true });
    element.src = makeUrl(callback);
    document.head.append(element);
  }).finally(() => {
    element.remove();
    // An answer that is still on its way calls in vain.
    if (called) delete window[callback];
    else window[callback] = () => delete window[callback];
  });
}

/** A poll that waits says nothing until it is answered; after a moment it is taken for accepted. */
async function whileHeld(subscription, poll) {
  const settled = setTimeout(() => subscription.live(), 100);
  try {
    await poll;
  } finally {
    clearTimeout(settled);
  }
}

/** Adds a frame, and takes it away at the end. `use` gets the frame; its promise is the frame's life. */
function withFrame(subscription, signal, title, use) {
  const frame = document.createElement("iframe");
  frame.title = title;
  if (!subscription.options.container) frame.hidden = true;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("given up")), { once: true });
    use(frame, resolve, reject);
    (subscription.options.container ?? document.body).append(frame);
  }).finally(() => frame.remove());
}

async function* readBytes(response) {
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

/** Polls by a script element. Returns whether there is more. */
async function pollByScript(subscription, endpoint, parameters, options) {
  // What took the last answer may have closed the subscription, and a script element does not know of signals.
  options.signal.throwIfAborted();
  subscription.requests += 1;
  const call = (callback) => subscription.url(endpoint, { callback, ...parameters });
  const json = await loadScript(call, options);
  // What came is `/**/callback(JSON);`, and the JSON as the server writes it, but for what it escapes for scripts' sake.
  subscription.received(bytesOf(`/**/push_${"0".repeat(16)}(${JSON.stringify(json)});`));
  return subscription.takeAnswer(json);
}

/** The pause between two polls. There is none while the server has more messages than fit into an answer. */
async function pause(subscription, hasMore, signal) {
  if (!hasMore) await sleep(subscription.options.every * 1000, signal);
  signal.throwIfAborted();
}

// ---- The techniques --------------------------------------------------------------------------------------------------------------
//
// `run` ends, or fails, when its connection does. `held` is the number of the browser's few HTTP connections that it occupies all the time.

export const TECHNIQUES = {
  // A page that loads itself again. Its frame is of this origin, so that what it shows can be read.
  page: {
    title: "Meta refresh",
    held: 0,
    run: async (subscription, signal) => {
      const parameters = { every: subscription.options.every };
      const head = await likelyHeadBytes(subscription, "page", parameters, signal);
      await withFrame(subscription, signal, "a page that reloads itself", (frame, _, reject) => {
        let overdue;
        frame.onload = () => {
          clearTimeout(overdue);
          const page = frame.contentDocument;
          if (!page?.querySelector('meta[http-equiv="refresh"]')) return reject(new Error("the page did not load"));
          subscription.requests += 1;
          subscription.received(head + frame.contentWindow.performance.getEntriesByType("navigation")[0].encodedBodySize);
          subscription.live();
          if (page.querySelector(".gap")) subscription.take({ gap: true });
          for (const item of page.querySelectorAll("li")) {
            const [topic, data] = [item.querySelector("b"), item.querySelector("pre")].map((element) => element.textContent);
            subscription.take({ id: item.id, topic, data });
          }
          overdue = setTimeout(() => reject(new Error("the page did not come again")), subscription.options.every * 1000 + PATIENCE_MS);
        };
        signal.addEventListener("abort", () => clearTimeout(overdue), { once: true });
        frame.src = subscription.url("page", parameters);
      });
    },
  },

  poll: {
    title: "Short polling",
    held: 0,
    run: async (subscription, signal) => {
      for (;;) {
        const headers = { "If-None-Match": `"${subscription.cursor}"` };
        const hasMore = await answer(subscription, await request(subscription, subscription.url("poll"), { signal, headers }));
        await pause(subscription, hasMore, signal);
      }
    },
  },

  jsonp: {
    title: "JSONP polling",
    held: 0,
    run: async (subscription, signal) => {
      const head = await likelyHeadBytes(subscription, "poll", { callback: "f" }, signal);
      for (;;) {
        const hasMore = await pollByScript(subscription, "poll", {}, { signal, patienceMs: PATIENCE_MS });
        subscription.received(head);
        await pause(subscription, hasMore, signal);
      }
    },
  },

  "long-poll": {
    title: "Long polling",
    held: 1,
    run: async (subscription, signal) => {
      for (;;) {
        const url = subscription.url("long-poll", { wait: WAIT_S });
        const poll = async () => answer(subscription, await request(subscription, url, { signal, patienceMs: HELD_MS }));
        await whileHeld(subscription, poll());
      }
    },
  },

  "script-poll": {
    title: "Script-tag long polling",
    held: 1,
    run: async (subscription, signal) => {
      const head = await likelyHeadBytes(subscription, "poll", { callback: "f" }, signal);
      for (;;) {
        await whileHeld(subscription, pollByScript(subscription, "long-poll", { wait: WAIT_S }, { signal, patienceMs: HELD_MS }));
        subscription.received(head);
      }
    },
  },

  // One response that does not end. Chunks are not messages (RFC 6202, section 3.2), lines are.
  stream: {
    title: "Fetch streaming",
    held: 1,
    run: async (subscription, signal) => {
      const response = await request(subscription, subscription.url("stream"), { signal, patienceMs: null });
      subscription.live();
      const decoder = new TextDecoder();
      let rest = "";
      for await (const bytes of readBytes(response)) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          subscription.received(chunkBytes(bytesOf(line) + 1));
          if (line.trim() !== "") subscription.take(JSON.parse(line));
        }
      }
    },
  },

  // An endless page, whose scripts call a function of this one.
  iframe: {
    title: "Hidden iframe",
    held: 1,
    run: async (subscription, signal) => {
      const callback = token("push_");
      const parameters = { callback };
      const head = await likelyHeadBytes(subscription, "iframe", parameters, signal);
      window[callback] = (envelope) => {
        const script = `<script>parent.${callback}(${JSON.stringify(envelope)})</script>\n`;
        subscription.received(chunkBytes(bytesOf(script)));
        subscription.take(envelope);
      };
      subscription.requests += 1;
      subscription.received(head);
      await withFrame(subscription, signal, "a page without end", (frame, resolve) => {
        // The head says nothing to this page; that it has come is seen by the frame's title.
        const settled = setInterval(() => {
          if (frame.contentDocument?.title !== "messages") return;
          clearInterval(settled);
          subscription.live();
        }, 50);
        signal.addEventListener("abort", () => clearInterval(settled), { once: true });
        frame.onload = () => {
          clearInterval(settled);
          resolve();
        };
        frame.src = subscription.url("iframe", parameters);
      });
    },
  },

  // Parts of known length; behind each stands the boundary of the next.
  multipart: {
    title: "Multipart stream",
    held: 1,
    run: async (subscription, signal) => {
      const response = await request(subscription, subscription.url("multipart", { format: "json" }), { signal, patienceMs: null });
      subscription.live();
      const decoder = new TextDecoder();
      let held = new Uint8Array();
      for await (const bytes of readBytes(response)) {
        held = concat(held, bytes);
        subscription.received(chunkBytes(bytes.length));
        for (let part = readPart(held); part; part = readPart(held)) {
          held = held.subarray(part.end);
          subscription.take(JSON.parse(decoder.decode(part.body)));
        }
      }
    },
  },

  // The browser does the work, connecting again and resuming included, as long as the server answers at all.
  events: {
    title: "Server-sent events",
    held: 1,
    run: async (subscription, signal) => {
      const parameters = { format: "json" };
      const head = await likelyHeadBytes(subscription, "events", parameters, signal);
      await new Promise((_, reject) => {
        subscription.requests += 1;
        const source = new EventSource(subscription.url("events", parameters));
        source.onopen = () => {
          subscription.received(head);
          subscription.live();
        };
        source.onmessage = ({ data, lastEventId }) => {
          subscription.received(chunkBytes(bytesOf(`id: ${lastEventId}\ndata: ${data}\n\n`)));
          subscription.take(JSON.parse(data));
        };
        source.onerror = () => {
          if (source.readyState === EventSource.CLOSED) return reject(new Error("the browser gave up"));
          subscription.requests += 1;
          return subscription.down("the browser tries again");
        };
        signal.addEventListener(
          "abort",
          () => {
            source.close();
            reject(new Error("given up"));
          },
          { once: true },
        );
      });
    },
  },

  ws: {
    title: "WebSocket",
    held: 0, // browsers count WebSockets apart
    run: (subscription, signal) =>
      new Promise((_, reject) => {
        subscription.requests += 1;
        const socket = new WebSocket(new URL(subscription.url("ws"), location.href.replace(/^http/, "ws")));
        subscription.send = (text) => socket.send(text);
        socket.onopen = () => {
          subscription.received(SWITCHING_BYTES);
          subscription.live();
        };
        socket.onmessage = ({ data }) => {
          if (signal.aborted) return;
          subscription.received(frameBytes(bytesOf(data)));
          subscription.take(JSON.parse(data));
        };
        socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`.trim()));
        signal.addEventListener(
          "abort",
          () => {
            socket.close();
            reject(new Error("given up"));
          },
          { once: true },
        );
      }),
  },
};

function concat(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** The first whole part: its body, and where the next part begins. */
function readPart(bytes) {
  // An empty line ends the head; a bare LF is nowhere in it.
  const isEmptyLine = (byte, at) => byte === 10 && bytes[at - 2] === 10;
  const at = bytes.findIndex(isEmptyLine) + 1;
  if (at === 0) return null;
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, at));
  const end = at + Number(/^content-length: (\d+)/im.exec(head)[1]);
  // Behind the body come a line end, the next boundary and a line end.
  const next = bytes.indexOf(10, end + 2) + 1;
  if (next === 0) return null;
  const body = bytes.subarray(at, end);
  // A payload that has the boundary in it comes as base64.
  const isEncoded = /^content-transfer-encoding: base64/im.test(head);
  return { body: isEncoded ? Uint8Array.from(atob(new TextDecoder().decode(body)), (c) => c.charCodeAt(0)) : body, end: next };
}
