// The browser's side of every technique: a subscription to a hub's topics that resumes with its
// cursor after each interruption.
//
// Owns the requests, the parsing of what arrives, the reconnection, and the count of requests and
// bytes. Leaves the meaning of messages and the look of the page to its user.

const RETRY_MS = 250; // before the first new attempt; doubled before each further one
const RETRY_MAX_MS = 4000;
const SETTLED_MS = 1500; // an attempt that lasted this long was a success
const WAIT_S = 25; // how long a long poll asks to be held
const PATIENCE_MS = 5000; // for a request that is answered at once
const HELD_MS = WAIT_S * 1000 + PATIENCE_MS;

const encoder = new TextEncoder();
export const bytesOf = (text) => encoder.encode(text).length;
export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** A random name for this client. */
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
 * `hooks`: `message(envelope)`, `gap(from)`, `state(state, words)`, all optional. States:
 * `connecting`, `live`, `down`, `cut`, `closed`. `options`: `base` (where the hub is mounted),
 * `after` (a cursor or `earliest`), `client` (a token), `presence`, `every` (seconds between
 * polls), `container` (an element for visible frames).
 *
 * `requests`, `downBytes`, `messages` and `gaps` count from the beginning. `downBytes` are the
 * bytes that HTTP and WebSocket send to the browser. Request heads do not count: scripts cannot
 * see them.
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

  /** Ends the connection as a lost network would, and reconnects after a pause. */
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
        // The cursor is read before the first connection. If that connection fails, the next one
        // starts at the same cursor and misses no message.
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
      // A stream that the server ended after messages is no failure. The next request follows at
      // once.
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

  // The techniques below call these methods.

  /** The server has answered: messages arrive from now on. */
  live() {
    if (this.state === "connecting" || this.state === "down") this.#enter("live");
  }

  down(words) {
    this.#enter("down", words);
  }

  received(bytes) {
    this.downBytes += bytes;
  }

  /** Takes an envelope: a message, the notice of a gap, or the last word of the server. */
  take(envelope) {
    // A hook may have closed this subscription at an earlier message of the same answer. The cursor
    // stays at that message.
    if (this.#isClosed) return undefined;
    if (envelope.end) {
      // The server's last word. The connection ends behind it.
      this.trouble = envelope.sentence;
      return this.down(envelope.sentence);
    }
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

  /**
   * Takes the answer to a poll. Returns whether the server has more messages: the next poll must
   * then not wait.
   */
  takeAnswer({ messages, last, gap, from, more = false, end = false, sentence }) {
    if (end) throw new Error(sentence); // the server's last word
    this.live();
    if (gap) this.take({ gap, from });
    for (const message of messages) this.take(message);
    if (!this.#isClosed) this.cursor = last;
    return more;
  }

  /** The address of a technique's endpoint, with the cursor and the other parameters. */
  url(endpoint, parameters = {}) {
    const { base, client, presence } = this.options;
    const query = new URLSearchParams(parameters);
    if (this.cursor) query.set("after", this.cursor);
    if (client) query.set("client", client);
    if (presence) query.set("presence", "1");
    return `${base}/${this.topics}/${endpoint}?${query}`;
  }
}

// ---- Requests, and bytes on the wire ------------------------------------------------------------

/** The size of a response head, computed from the fields that the browser shows to scripts. */
export function headBytes(response) {
  let bytes = bytesOf(`HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`);
  for (const [name, value] of response.headers) bytes += bytesOf(`${name}: ${value}\r\n`);
  return bytes;
}

/**
 * The size of a response head that scripts cannot see, because an EventSource, a frame or a script
 * element loads it: from one HEAD request for the same.
 */
async function likelyHeadBytes(subscription, endpoint, parameters, signal) {
  const url = new URL(subscription.url(endpoint, parameters), location.href);
  url.searchParams.delete("client");
  return headBytes(await fetch(url, { method: "HEAD", cache: "no-store", signal }));
}

/** A chunk is `size CRLF data CRLF`, with the size in hexadecimal (RFC 9112, section 7.1). */
const chunkBytes = (payload) => payload + payload.toString(16).length + 4;

/**
 * A frame head has 2 bytes; 4 from 126 bytes of payload on; 10 from 64 KiB on. A server sends no
 * mask (RFC 6455, section 5.2).
 */
const frameBytes = (payload) => payload + (payload < 126 ? 2 : payload < 65536 ? 4 : 10);

/** The size of a 101 head with the three fields of RFC 6455, section 4.2.2, and `Date`. */
const SWITCHING_BYTES = 166;

/** The sentence of a refusal: of a last word, or the text itself. */
function sentenceOf(text) {
  try {
    return JSON.parse(text).sentence ?? text;
  } catch {
    return text;
  }
}

async function request(subscription, url, { signal, patienceMs = PATIENCE_MS, headers } = {}) {
  signal.throwIfAborted(); // before counting: a request that is not sent does not count
  subscription.requests += 1;
  const patience = patienceMs === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const response = await fetch(url, { cache: "no-store", headers, signal: patience });
  subscription.received(headBytes(response));
  if (!response.ok && response.status !== 304) throw new Error(sentenceOf((await response.text()).trim()) || `status ${response.status}`);
  return response;
}

/** Takes the response to a poll. Returns whether the server has more messages. */
async function answer(subscription, response) {
  if (response.status === 304) {
    subscription.live();
    return false;
  }
  const text = await response.text();
  subscription.received(bytesOf(text));
  return subscription.takeAnswer(JSON.parse(text));
}

/** The cursor after the newest message. */
async function place(subscription, signal) {
  const response = await request(subscription, subscription.url("poll"), { signal });
  const text = await response.text();
  subscription.received(bytesOf(text));
  return JSON.parse(text).last;
}

/** Loads a script. `makeUrl` gets the name of the function that the script must call. */
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
    // A script that arrives after this point still finds a function, which only removes itself.
    // Without it, the script would throw.
    if (called) delete window[callback];
    else window[callback] = () => delete window[callback];
  });
}

/** A held poll has no answer for a while. After 100 ms it counts as accepted. */
async function whileHeld(subscription, poll) {
  const settled = setTimeout(() => subscription.live(), 100);
  try {
    await poll;
  } finally {
    clearTimeout(settled);
  }
}

/**
 * Adds a frame, and removes it at the end. `use` gets the frame and the functions that resolve or
 * reject the returned promise.
 */
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

/** Polls by a script element. Returns whether the server has more messages. */
async function pollByScript(subscription, endpoint, parameters, options) {
  // A hook may have closed the subscription at the last answer. A script element has no signal, so
  // the check comes before it is added.
  options.signal.throwIfAborted();
  subscription.requests += 1;
  const call = (callback) => subscription.url(endpoint, { callback, ...parameters });
  const json = await loadScript(call, options);
  // The body was `/**/callback(JSON);`. Its size is exact, except for characters that the server
  // escapes for scripts.
  subscription.received(bytesOf(`/**/push_${"0".repeat(16)}(${JSON.stringify(json)});`));
  return subscription.takeAnswer(json);
}

/**
 * The pause between two polls. There is none while the server has more messages than fit into an
 * answer.
 */
async function pause(subscription, hasMore, signal) {
  if (!hasMore) await sleep(subscription.options.every * 1000, signal);
  signal.throwIfAborted();
}

// ---- The techniques -----------------------------------------------------------------------------
//
// `run` returns or throws when its connection ends. `held` is the number of HTTP connections that
// the technique occupies all the time; a browser has six for one host.

export const TECHNIQUES = {
  // A page that reloads itself. Its frame has this page's origin, so that this script may read it.
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

  // One endless response. A message is a line, not a chunk: intermediaries may change the chunks
  // (RFC 6202, section 3.2).
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

  // An endless page in a frame. Each message is a script element that calls a function of this
  // page.
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
        // No event tells this page that the head of the frame's page has arrived. Its title does.
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

  // One endless response of parts. Each part has a Content-Length, and is followed by a boundary.
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

  // The browser parses, reconnects and resumes by itself, until the server answers a reconnection
  // with an error.
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
    held: 0, // browsers count WebSockets separately
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

/**
 * The first complete part: its body, and the offset of the next part. `null` if it is not complete.
 */
function readPart(bytes) {
  // An empty line ends the head. Only there are two LFs two bytes apart: LF CR LF.
  const isEmptyLine = (byte, at) => byte === 10 && bytes[at - 2] === 10;
  const at = bytes.findIndex(isEmptyLine) + 1;
  if (at === 0) return null;
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, at));
  const end = at + Number(/^content-length: (\d+)/im.exec(head)[1]);
  // After the body follow a line end, the next boundary and a line end.
  const next = bytes.indexOf(10, end + 2) + 1;
  if (next === 0) return null;
  const body = bytes.subarray(at, end);
  // A payload that contains the boundary is sent as base64.
  const isEncoded = /^content-transfer-encoding: base64/im.test(head);
  return { body: isEncoded ? Uint8Array.from(atob(new TextDecoder().decode(body)), (c) => c.charCodeAt(0)) : body, end: next };
}
