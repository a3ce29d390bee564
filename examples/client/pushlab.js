// pushlab.js: subscribes to topics of a pushlab hub, by the best technique that gets through.
//
// For browsers (ES2022 modules), Node.js 20 and newer, and Deno. pushlab.d.ts explains the options.
// A message's id is the cursor. Each connection begins after the last id, and a message that is not
// newer than the cursor is dropped: so each message is delivered once and in order.

const HOLD_S = 25; // how long the server may hold a long poll
const SETTLED_MS = 1500; // an attempt that lasted this long was a success
const FAILURES = 2; // of one technique, before the next one is tried
const KEPT_BYTES = 1_000_000; // a stream that the browser keeps in memory ends after so many bytes
const TICK_MS = 2000; // between two looks at the clock, and at the leading tab
const SLEPT_MS = 15_000; // the machine slept if a look at the clock is so much too late
const UNANSWERED = 3; // looks without a word from the leading tab, until another tab leads
const SHARED_MS = 30_000; // without a word from a leading tab, until a tab gives up sharing
const AUTO = ["ws", "events", "eventsource", "stream", "xhr", "long-poll", "script-poll", "iframe"];
const DEFAULTS = { technique: "auto", after: null, headers: {}, topicsMax: 32, WebSocket: globalThis.WebSocket };
const TIMES = { answerMs: 4000, heartbeatMs: 25_000, retryMs: [500, 15_000], climbMs: 30_000 };

// ---- Helpers ------------------------------------------------------------------------------------

const { document: page, navigator: browser } = globalThis; // undefined in some environments
const canStream = () => typeof ReadableStream !== "undefined" && "body" in Response.prototype;
const canShare = () => page !== undefined && browser?.locks !== undefined && typeof BroadcastChannel !== "undefined";
const isOffline = () => browser?.onLine === false;
const isError = (value) => value instanceof Error;
const AGAIN = new Error("the stream begins again"); // ends an attempt that did not fail
const failure = (words, more) => Object.assign(new Error(words), more);
const baseOf = (url) => new URL(typeof url === "function" ? url() : url, globalThis.location?.href).href.replace(/\/$/, "");
const isOfPage = (base) => page !== undefined && base !== undefined && new URL(base).origin === location.origin;

/** Waits. It ends earlier, without an error, when the signal aborts. */
export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const end = () => (clearTimeout(timer), signal?.removeEventListener("abort", end), resolve());
    const timer = setTimeout(end, signal?.aborted ? 0 : ms);
    signal?.addEventListener("abort", end);
  });

/** A random name, for example for the option `client`. */
export const token = (prefix = "web") =>
  prefix + Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether an id (`epoch-number`) is newer than a cursor. An id of another epoch is. */
export function isAfter(id, cursor) {
  const [[epoch, number], [other, since]] = [id, cursor ?? ""].map((text) => [text.replace(/-[^-]*$/, ""), Number(text.replace(/^.*-/, ""))]);
  return epoch !== other || number > since;
}

/** Calls a hook. Its error is reported as uncaught, and does not end the stream. */
function call(hook, ...values) {
  try { hook?.(...values); } catch (error) { queueMicrotask(() => { throw error; }); }
}

/** The envelopes in an answer to a poll. The last one only moves the cursor. */
const envelopesOf = (answer) =>
  answer.end ? [answer] : [answer.gap && { gap: true, from: answer.from }, ...(answer.messages ?? []), answer.last && { last: answer.last }].filter(Boolean);

/** Moves a cursor to an envelope, and calls the hooks. What is not newer than the cursor is dropped. */
function deliver(place, { onmessage, ongap, onend }, envelope) {
  const { id, end, gap, from, last } = envelope;
  if (end) return call(onend, { code: envelope.code, sentence: envelope.sentence });
  if (gap ? from && !isAfter(from, place.cursor) : !isAfter(id ?? last, place.cursor)) return undefined;
  place.cursor = id ?? last ?? from ?? place.cursor;
  return gap ? call(ongap, from ?? null) : id && call(onmessage, envelope);
}

// ---- Parsers ------------------------------------------------------------------------------------

/** Cuts a stream of UTF-8 bytes, or of text, into lines that end with LF, CR or CRLF. */
export class Lines {
  #decoder = new TextDecoder(); // drops a byte order mark at the beginning
  #rest = "";
  #wasCR = false; // an LF that follows belongs to the line that has ended

  /** Returns the lines that these bytes complete. */
  push(bytes) {
    const text = typeof bytes === "string" ? bytes : this.#decoder.decode(bytes, { stream: true });
    if (text === "") return [];
    const lines = (this.#wasCR && text[0] === "\n" ? text.slice(1) : text).split(/\r\n|\r|\n/);
    this.#wasCR = text.endsWith("\r");
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop();
    return lines;
  }
}

/** Parses `text/event-stream` (WHATWG HTML, section 9.2.6). */
export class EventParser {
  retryMs = undefined; // the last `retry` of the server
  #lines = new Lines();
  #id = "";
  #type = "";
  #data = [];

  /** Returns the events that these bytes complete, each as `{type, data, lastEventId}`. */
  push(bytes) { return this.#lines.push(bytes).flatMap((line) => (line === "" ? this.#end() : this.#field(line))); }

  #field(line) {
    const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line); // a comment has no name
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
    return [];
  }

  /** An event without data only sets the last id. */
  #end() {
    const [type, data] = [this.#type || "message", this.#data];
    [this.#type, this.#data] = ["", []];
    return data.length > 0 ? [{ type, data: data.join("\n"), lastEventId: this.#id }] : [];
  }
}

// ---- Techniques ---------------------------------------------------------------------------------

/** Opens something. `open` gets `resolve` and `reject`, and returns the function that closes it in the end. */
function connection({ signal }, open) {
  let close;
  const isOver = new Promise((resolve, reject) => (close = open(resolve, reject)));
  signal.addEventListener("abort", close);
  return isOver.finally(() => (signal.removeEventListener("abort", close), close()));
}

const readWebSocket = (attempt) => connection(attempt, (_, reject) => {
  const socket = new attempt.options.WebSocket(attempt.address("ws").replace(/^http/, "ws"));
  socket.onopen = () => attempt.heard("head", null);
  socket.onmessage = ({ data }) => attempt.takeJson(data);
  socket.onerror = () => {}; // `onclose` follows
  socket.onclose = ({ code, reason }) => {
    if (reason) attempt.take({ end: true, code, sentence: reason });
    reject(new Error(`closed with ${code}`));
  };
  return () => socket.close();
});

/** Server-sent events with a parser of our own: it sees heartbeats, and sends header fields. */
async function readEvents(attempt) {
  const parser = new EventParser();
  for await (const bytes of attempt.body("events", { format: "json" })) {
    for (const { data } of parser.push(bytes)) attempt.take(JSON.parse(data));
    attempt.retryMs = parser.retryMs;
  }
}

/** Server-sent events with the browser's parser. It would reconnect by itself; here the stream does. */
const readEventSource = (attempt) => connection(attempt, (_, reject) => {
  const source = new EventSource(attempt.address("events", { format: "json" }), { withCredentials: attempt.options.credentials === "include" });
  source.onopen = () => attempt.heard("head", null);
  for (const type of ["message", "end"]) source.addEventListener(type, ({ data }) => attempt.takeJson(data));
  source.onerror = () => reject(new Error("the connection was lost"));
  return () => source.close();
});

async function readLines(attempt) {
  const lines = new Lines();
  for await (const bytes of attempt.body("stream")) attempt.takeLines(lines.push(bytes));
}

/** The same by XMLHttpRequest, whose `responseText` grows while `readyState` is 3. */
const readByXhr = (attempt) => connection(attempt, (resolve, reject) => {
  let [xhr, lines, taken] = [new XMLHttpRequest(), new Lines(), 0];
  xhr.open("GET", attempt.address("stream", { max_bytes: KEPT_BYTES }));
  xhr.withCredentials = attempt.options.credentials === "include";
  for (const [name, value] of Object.entries(attempt.headers)) xhr.setRequestHeader(name, value);
  xhr.onprogress = () => {
    if (xhr.status !== 200) return;
    const text = xhr.responseText.slice(taken);
    taken += text.length;
    attempt.heard("body", text);
    attempt.takeLines(lines.push(text));
  };
  xhr.onload = () => (xhr.status === 200 ? resolve() : reject(attempt.refusal(xhr.status, xhr.responseText)));
  xhr.onerror = () => reject(new Error("the connection was lost"));
  xhr.send();
  return () => xhr.abort();
});

async function pollByFetch(attempt, endpoint, parameters) {
  const text = await (await attempt.request(endpoint, parameters)).text();
  attempt.wire("body", text);
  return JSON.parse(text);
}

/** A script element loads the answer, which calls a function of this page. */
export function pollByScript(attempt, endpoint, parameters) {
  const [callback, element] = [token("push_"), page.createElement("script")];
  return connection(attempt, (resolve, reject) => {
    globalThis[callback] = (answer) => (attempt.wire("head", null), attempt.wire("body", `/**/${callback}(${JSON.stringify(answer)});`), resolve(answer));
    element.onload = element.onerror = () => (reject(new Error("the script did not load")), delete globalThis[callback]);
    element.src = attempt.address(endpoint, { ...parameters, callback });
    page.head.append(element);
    return () => element.remove(); // the function stays for a script that arrives after this point
  });
}

/** The first poll is not held: its answer shows that polls get through. */
async function longPolls(attempt, poll) {
  for (let wait = 0; ; wait = HOLD_S) {
    attempt.signal.throwIfAborted();
    attempt.expect(wait * 1000 + attempt.options.answerMs);
    attempt.takeAnswer(await poll(attempt, "long-poll", { wait }));
  }
}

/** An endless page in a frame. Each message is a script element that calls a function of this page. */
const readFrame = (attempt) => connection(attempt, (resolve) => {
  const [callback, frame] = [token("push_"), page.createElement("iframe")];
  globalThis[callback] = (envelope) => (attempt.wire("body", `<script>parent.${callback}(${JSON.stringify(envelope)})</script>\n`), attempt.take(envelope));
  Object.assign(frame, { hidden: true, title: "a page without end", src: attempt.address("iframe", { callback }), onload: resolve });
  page.body.append(frame);
  // No event tells this page that the head of the frame's page has arrived. Its title does.
  const arrival = setInterval(() => frame.contentDocument?.title === "messages" && (clearInterval(arrival), attempt.heard("head", null)), 50);
  return () => (clearInterval(arrival), frame.remove(), delete globalThis[callback]);
});

/** The techniques by name. A program may add its own: pushlab.d.ts says what the fields mean. */
export const techniques = {
  ws: { title: "WebSocket", held: 0, isSilent: true, works: ({ WebSocket }) => WebSocket !== undefined, run: readWebSocket },
  events: { title: "Server-sent events", held: 1, sendsFields: true, works: canStream, run: readEvents },
  eventsource: { title: "EventSource", held: 1, isSilent: true, works: () => typeof EventSource !== "undefined", run: readEventSource },
  stream: { title: "Fetch streaming", held: 1, sendsFields: true, works: canStream, run: readLines },
  xhr: { title: "XHR streaming", held: 1, sendsFields: true, works: () => typeof XMLHttpRequest !== "undefined", run: readByXhr },
  "long-poll": { title: "Long polling", held: 1, sendsFields: true, works: () => true, run: (attempt) => longPolls(attempt, pollByFetch) },
  "script-poll": { title: "Script-tag long polling", held: 1, works: () => page !== undefined, run: (attempt) => longPolls(attempt, pollByScript) },
  shared: { title: "Shared by tabs", held: 0, sendsFields: true, works: ({ group }) => group !== undefined, run: (attempt) => readShared(attempt) },
  iframe: { title: "Hidden iframe", held: 1, isSilent: true, works: ({ base }) => isOfPage(base), run: readFrame },
};

// ---- One attempt --------------------------------------------------------------------------------

/** One attempt of one technique: the argument of `run`. It ends once, and is not reused. */
class Attempt {
  isLive = false;
  messages = 0;
  retryMs = undefined; // the server's wish for the pause after this attempt
  #ending = new AbortController();
  #began = performance.now();
  #heardAt = 0;
  #timer;

  /** `owner` has `base`, `cursor` and `options`, and takes what arrives by `wentLive` and `took`. */
  constructor(owner, name, run = techniques[name].run) {
    Object.assign(this, { owner, name, technique: techniques[name], options: owner.options });
    this.ended = this.#run(run);
  }
  get signal() { return this.#ending.signal; }
  get cursor() { return this.owner.cursor; }
  get silentMs() { return performance.now() - this.#heardAt; }
  get isSettled() { return this.isLive && (this.messages > 0 || performance.now() - this.#began > SETTLED_MS); }
  get headers() { return { ...(this.token && { Authorization: `Bearer ${this.token}` }), ...this.options.headers }; }
  end(error) { clearTimeout(this.#timer); this.#ending.abort(error); }

  /** Resolves with the value of `run`, or with the error that ended the attempt. Never rejects. */
  async #run(run) {
    const cut = new Promise((_, reject) => this.signal.addEventListener("abort", () => reject(this.signal.reason)));
    this.expect(this.options.answerMs);
    const value = await Promise.race([cut, this.#begin(run)]).catch((error) => error);
    this.end(new Error("the attempt is over"));
    return value;
  }
  async #begin(run) {
    const { token: given } = this.options;
    this.token = await (typeof given === "function" ? given() : given);
    // The cursor is read before the first connection: if that fails, the next one misses nothing.
    if (run === this.technique.run && !this.cursor) {
      const answer = await ask(this.owner);
      if (isError(answer)) throw answer;
      this.owner.cursor = answer.last;
    }
    this.signal.throwIfAborted(); // nothing is opened that nothing would close
    return run(this);
  }

  /** Ends the attempt if nothing is heard for this time. A script that cannot hear heartbeats checks first. */
  expect(limitMs = this.limitMs) {
    clearTimeout(this.#timer);
    [this.limitMs, this.#heardAt] = [limitMs, performance.now()];
    const fail = () => this.end(new Error(`${this.isLive ? "silent for" : "no answer in"} ${limitMs / 1000} s`));
    if (!this.signal.aborted) this.#timer = setTimeout(() => (this.isLive && this.technique.isSilent ? this.check() : fail()), limitMs);
  }

  /** Ends the attempt if a plain poll is not answered, or has a message that did not arrive here. */
  async check() {
    const answer = await ask(this.owner);
    if (isError(answer) || answer.messages?.some(({ id }) => isAfter(id, this.cursor))) this.end(new Error("the connection is silent"));
    this.expect();
  }

  /** The server has answered: messages arrive from now on. */
  live() {
    this.expect();
    if (this.isLive || this.signal.aborted) return;
    this.isLive = true;
    this.expect(2 * this.options.heartbeatMs);
    this.owner.wentLive?.(this);
  }

  /** A head that scripts cannot see has arrived, or bytes of a stream: messages, or a heartbeat. */
  heard(kind, value) { this.wire(kind, value); this.live(); }

  /** Takes an envelope: a message, the notice of a gap, or the server's last word. */
  take(envelope) {
    if (this.signal.aborted) return;
    const { id, end, sentence, retry } = envelope;
    if (!end) this.live();
    if (id) this.messages += 1;
    this.owner.took?.(this, envelope);
    if (end) this.end(failure(sentence, { retryMs: retry }));
  }
  takeJson(text) { this.wire("body", text); this.take(JSON.parse(text)); }
  takeAnswer(answer) { for (const envelope of envelopesOf(answer)) this.take(envelope); }
  /** Takes the lines of a stream. An empty line is a heartbeat. */
  takeLines(lines) { for (const line of lines) if (line.trim() !== "") this.take(JSON.parse(line)); }

  /** The error of a response that is not 200. Its text may be the server's last word. */
  refusal(status, text, seconds) {
    const said = /^\{.*"end":true/s.test(text) ? JSON.parse(text) : { sentence: text.trim() || `status ${status}`, retry: seconds ? seconds * 1000 : undefined };
    if (said.end) this.take(said);
    return failure(said.sentence, { status, retryMs: said.retry });
  }

  /** The address of an endpoint. Notes that a request for it is sent. */
  address(endpoint, parameters) {
    const { client, presence, topics } = this.options;
    const secret = this.technique.sendsFields ? undefined : this.token;
    const all = Object.entries({ after: this.cursor, client, presence: presence && 1, access_token: secret, ...parameters });
    const query = new URLSearchParams(all.filter(([, value]) => value !== undefined && value !== null && value !== false));
    const url = `${this.owner.base}/${topics.map(encodeURIComponent).join(",")}/${endpoint}?${query}`;
    this.wire("request", url);
    return url;
  }
  async request(endpoint, parameters, fields) {
    this.signal.throwIfAborted(); // before it is noted: this request is not sent
    const { signal, options: { credentials } } = this;
    const response = await fetch(this.address(endpoint, parameters), { cache: "no-store", credentials, signal, headers: { ...this.headers, ...fields } });
    this.wire("head", response);
    if (response.ok || response.status === 304) return response;
    throw this.refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  }

  /** The pieces of a response without end. The attempt is live from the first byte on. */
  async *body(endpoint, parameters) {
    const reader = (await this.request(endpoint, parameters)).body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield (this.heard("body", part.value), part.value);
  }

  /** Tells the hook `onwire` of a request, a head or a body. */
  wire(kind, value) { call(this.options.onwire, kind, value, this); }
}

/** Polls once, without this client's name. Returns the answer, or the error. */
async function ask({ base, cursor, options }) {
  const owner = { base, cursor, options: { ...options, client: undefined, presence: undefined } };
  const answer = await new Attempt(owner, "long-poll", (attempt) => pollByFetch(attempt, "poll")).ended;
  // A page of another origin may load scripts where it may not fetch.
  if (!isError(answer) || answer.status || !page || isOfPage(base)) return answer;
  return new Attempt(owner, "script-poll", (attempt) => pollByScript(attempt, "poll")).ended;
}

// ---- The stream ---------------------------------------------------------------------------------

/** Goes from attempt to attempt, and from technique to technique. */
class Stream {
  state = "connecting";
  #at = 0; // the technique in use, in `options.order`
  #failures = 0; // of this technique
  #tries = 0; // since the last success: the exponent of the back-off
  #attempt = null;
  #wait = null; // ends the pause before the next attempt
  #ending = new AbortController();
  #isClimbing = false;

  constructor(options, hooks, after) {
    Object.assign(this, { options, hooks, cursor: after });
    this.#watchMachine();
    this.#run();
  }
  get technique() { return this.#attempt?.via ?? this.options.order[this.#at]; }
  get signal() { return this.#ending.signal; }
  close() { this.#enter("closed"); this.#ending.abort(); this.reconnect(); }

  /** Ends the connection or the pause, and connects again at once. */
  reconnect() {
    this.#tries = 0;
    this.#attempt?.end(AGAIN);
    this.#wait?.abort();
  }
  async #run() {
    await null; // no hook is called before `subscribe` has returned
    for (let fell; this.state !== "closed"; ) {
      this.#enter("connecting", fell && { fell });
      this.base = baseOf(this.options.url);
      this.#attempt = new Attempt(this, this.options.order[this.#at]);
      let [attempt, value] = [null, null];
      // A better technique that gets through replaces the attempt.
      while (attempt !== this.#attempt) value = await (attempt = this.#attempt).ended;
      if (attempt.isSettled) this.#tries = 0;
      fell = value === AGAIN ? undefined : await this.#recover(attempt, value);
    }
  }

  /** Pauses after an attempt, or leaves the technique and returns which one it was. */
  async #recover({ isLive, isSettled, retryMs }, value) {
    const isEnded = !isError(value); // the server, or something before it, has ended the response
    if (isEnded && isSettled && retryMs === undefined) return undefined;
    let reason = isEnded ? failure("the response ended", { retryMs }) : value;
    if (!isLive && !isOffline()) {
      // A technique has failed only if the server answers a plain poll. If not, the server is away.
      const answer = await ask(this);
      if (!isError(answer)) this.#failures += 1;
      else if (answer.status) reason = answer; // another technique does not help
      if (this.#failures >= FAILURES && this.#at + 1 < this.options.order.length) {
        const fell = { technique: this.options.order[this.#at], reason: reason.message };
        [this.#failures, this.#tries, this.#at] = [0, 0, this.#at + 1];
        this.#climb();
        return fell;
      }
    }
    return this.#pause(reason);
  }
  async #pause({ message: reason, status, retryMs }) {
    const [firstMs, mostMs] = this.options.retryMs;
    const pauseMs = isOffline() ? mostMs : (retryMs ?? Math.random() * Math.min(mostMs, firstMs * 2 ** this.#tries++));
    this.#wait = new AbortController();
    this.#enter(isOffline() ? "paused" : "down", { reason, status, pauseMs });
    if (this.state !== "closed") await sleep(pauseMs, this.#wait.signal);
    this.#wait = null;
  }

  /** Tries the better techniques from time to time, beside the one in use. */
  async #climb() {
    if (this.#isClimbing) return;
    this.#isClimbing = true;
    for (let pauseMs = this.options.climbMs; this.#at > 0 && this.state !== "closed"; pauseMs *= 2) {
      await sleep(pauseMs, this.signal);
      for (const name of this.options.order.slice(0, this.state === "live" ? this.#at : 0)) {
        const better = new Attempt(this, name);
        await Promise.race([better.ended, sleep(this.options.answerMs, this.signal)]);
        if (better === this.#attempt) break;
        better.end(AGAIN);
      }
    }
    this.#isClimbing = false;
  }
  wentLive(attempt) {
    const worse = this.#attempt;
    [this.#attempt, this.#at, this.#failures] = [attempt, this.options.order.indexOf(attempt.name), 0];
    if (attempt !== worse) worse.end(AGAIN);
    this.#enter("live");
  }
  took(attempt, envelope) { if (attempt === this.#attempt && this.state !== "closed") deliver(this, this.hooks, envelope); }

  #enter(state, detail) {
    if (this.state === "closed") return;
    this.state = state;
    call(this.hooks.onstate, state, { technique: this.technique, ...detail });
  }

  /** Watches the network, the page's visibility, and a clock that stood still. */
  #watchMachine() {
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal: this.signal });
    const look = () => page.hidden || (this.#wait ? this.reconnect() : this.#attempt?.silentMs > this.options.heartbeatMs && this.#attempt.check());
    on(globalThis, "offline", () => this.#attempt?.end(new Error("the network is away")));
    on(globalThis, "online", () => this.reconnect());
    for (const type of ["visibilitychange", "resume"]) on(page, type, look);
    let due = Date.now() + TICK_MS;
    const timer = setInterval(() => {
      if (Date.now() > due + SLEPT_MS && !page?.hidden) this.reconnect(); // a hidden page's timers are late anyway
      due = Date.now() + TICK_MS;
    }, TICK_MS);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }
}

// ---- The stream that tabs share -----------------------------------------------------------------
//
// To share is one more technique: a tab takes its envelopes from a BroadcastChannel. A Web Lock elects
// the tab that leads: it has a stream for the topics of all tabs, and says in the channel what arrives.
// Each tab has its own cursor. So it does not matter which tab leads: a tab drops what is not newer
// than its cursor, and polls for what it missed. Each envelope names the place before it, which tells.

const readShared = (attempt) => connection(attempt, (_, reject) => {
  const { owner, options } = attempt;
  const channel = new BroadcastChannel(options.group);
  let [place, silence, turn] = [null, 0, Promise.resolve()];
  const catchUp = async (to) => {
    for (let answer = { more: true }; answer.more && isAfter(to, attempt.cursor); attempt.takeAnswer(answer)) {
      answer = await ask(owner);
      if (isError(answer)) throw answer;
    }
  };
  const hearState = async ({ state, detail, topics, isFull, at }) => {
    place = null;
    const isCovered = options.topics.every((topic) => topics.includes(topic));
    if (!isCovered && isFull) throw new Error("the tabs have more topics than one stream takes");
    if (isCovered && state === "live") {
      await catchUp(at);
      [place, attempt.via] = [at, detail.technique];
      attempt.live();
    } else if (attempt.isLive || detail.status) throw failure(detail.reason ?? "the leading tab connects again", { status: detail.status });
  };
  const hearEnvelope = async ({ before, after, envelope }) => {
    if (place === null) return;
    if (before !== place) await catchUp(before);
    place = after;
    const isWanted = !envelope.id || options.topics.some((topic) => [topic, `${topic}.presence`].includes(envelope.topic));
    attempt.take(isWanted ? envelope : { last: envelope.id });
  };
  const hello = () => channel.postMessage({ hello: true });
  channel.onmessage = ({ data }) => {
    if (data.hello) return;
    silence = 0;
    attempt.expect(SHARED_MS);
    turn = turn.then(() => (data.state ? hearState(data) : hearEnvelope(data))).catch(reject);
  };
  // A leader that does not answer is frozen. This tab then leads instead.
  const timer = setInterval(() => {
    if ((silence += 1) > 1) hello();
    if (silence === UNANSWERED) lead(owner, { steal: true });
  }, TICK_MS);
  attempt.expect(SHARED_MS);
  hello();
  return () => (clearInterval(timer), channel.close());
});

/** Takes part in the elections for as long as the subscription lasts. */
async function share(member) {
  const { options, signal } = member;
  const isClosed = new Promise((resolve) => signal.addEventListener("abort", resolve));
  // The name of this lock tells the leader the topics of a tab, for as long as the tab lives.
  navigator.locks.request(`${options.group} tab ${token("")} ${options.topics}`, () => isClosed);
  while (!signal.aborted) await lead(member, { signal });
}

/** Leads while this tab has the lock: until its end, until it is frozen, or until a tab steals the lock. */
async function lead(member, how) {
  const { options, signal } = member;
  let [stream, place, isFull, channel] = [null, null, false, null];
  const say = (words) => channel?.postMessage({ ...words, topics: stream.options.topics, isFull });
  const sayEnvelope = (envelope) => say({ before: place, after: (place = envelope.id ?? envelope.from ?? place), envelope });
  const onstate = (state, detail) => {
    if (state === "live") place = stream.cursor;
    if (state !== "closed") say({ state, detail, at: place });
  };
  const hooks = { onmessage: sayEnvelope, ongap: (from) => sayEnvelope({ gap: true, from }), onend: (end) => sayEnvelope({ end: true, ...end }), onstate };
  /** Says the state of the stream. If a tab has further topics, a new stream takes its place. */
  const answer = async () => {
    const { held } = await navigator.locks.query();
    const lists = held.filter(({ name }) => name.startsWith(`${options.group} tab `)).map(({ name }) => name.split(" ").at(-1).split(","));
    const [topics, has] = [new Set(options.topics), new Set(stream?.options.topics)];
    // Topics that the stream has stay: a tab with others may find no room.
    for (const list of [...lists.filter((each) => each.every((topic) => has.has(topic))), ...lists]) {
      if (new Set([...topics, ...list]).size <= options.topicsMax) list.forEach((topic) => topics.add(topic));
    }
    isFull = lists.flat().some((topic) => !topics.has(topic));
    if ([...topics].every((topic) => has.has(topic))) return onstate(stream.state, { technique: stream.technique });
    const last = stream;
    if (channel) stream = new Stream({ ...options, order: options.order.slice(1), topics: [...topics] }, hooks, last?.cursor ?? member.cursor);
    return last?.close();
  };
  const begin = () => {
    channel = new BroadcastChannel(options.group);
    channel.onmessage = ({ data }) => data.hello && answer();
    answer();
    return new Promise((resolve) => (signal.addEventListener("abort", resolve), page.addEventListener("freeze", resolve, { once: true })));
  };
  await navigator.locks.request(`${options.group} leader`, how, begin).catch(() => {});
  channel?.close();
  channel = null;
  stream?.close();
}

/** Subscribes to topics of the hub at `url`. The options are in pushlab.d.ts. */
export function subscribe(url, options = {}) {
  const settings = prepare(url, options);
  const stream = new Stream(settings, settings, settings.after);
  if (settings.group) share(stream);
  return stream;
}

/** Checks the options, and chooses the techniques that work here. */
function prepare(url, options) {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, ...TIMES, ...given, url, topics: [given.topics ?? []].flat() };
  const { topics, technique, headers, token: secret, credentials, presence, share: scope } = settings;
  if (topics.length === 0 || topics.some((topic) => !/^[^\s,/]+$/.test(topic))) throw new TypeError("`topics` must be the name of a topic, or a list of names");
  const names = technique === "auto" ? AUTO.filter((name) => !canStream() || !["eventsource", "xhr"].includes(name)) : [technique].flat();
  const unknown = names.find((name) => !Object.hasOwn(techniques, name));
  if (unknown !== undefined) throw new TypeError(`no technique has the name ${unknown}; the names are ${Object.keys(techniques).join(", ")}`);
  const base = typeof url === "string" ? baseOf(url) : undefined;
  const needsFields = Object.keys(headers).length > 0;
  const order = names.filter((name) => techniques[name].works({ ...settings, base }) && (techniques[name].sendsFields || !needsFields));
  if (order.length === 0) throw new TypeError(`none of these techniques works here${needsFields ? " with header fields" : ""}: ${names.join(", ")}`);
  // Tabs share a stream only if the server treats them alike.
  const group = `pushlab ${JSON.stringify([base, order, headers, secret, credentials, presence, scope])}`;
  const isShared = scope && canShare() && !(scope === true && typeof secret === "function"); // whose token is it?
  return isShared ? { ...settings, order: ["shared", ...order], group } : { ...settings, order };
}
