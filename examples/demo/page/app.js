// Four subscriptions to one feed, side by side, and an account of what each of them costs.
//
// A browser opens six HTTP/1.1 connections to a host, over all of its tabs. This page holds three: the stream, the event stream and the
// poll. The WebSocket is counted apart, and one more connection is enough for /stats and the rate.

const WINDOW = 500; // latencies kept for the percentiles
const CHART = 120; // latencies in the chart
const RENDER_MS = 250;
const STATS_MS = 1000;
const PATIENCE_MS = 4000; // for an answer of /stats

const number = new Intl.NumberFormat("en");
const encoder = new TextEncoder();
const bytesOf = (text) => encoder.encode(text).length;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const server = { epoch: null, requestHeadBytes: {} };

// ---- The clock -------------------------------------------------------------------------------------------------------------------

const sameMachine = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
const clock = { base: performance.timeOrigin, offset: 0, roundTrip: Infinity };

// Unix time in milliseconds with a fraction. Date.now() follows the system's clock but is cut to whole milliseconds; performance.now() is
// fine-grained but does not follow. So the latter counts, and is kept within the former's millisecond.
function wallClock() {
  const whole = Date.now();
  const time = clock.base + performance.now();
  const kept = Math.min(Math.max(time, whole), whole + 1);
  clock.base += kept - time;
  return kept;
}

const serverClock = () => wallClock() + clock.offset;

// Another machine's clock is read half a round trip ago; the quickest answer says it best.
function compareClocks(sent, received, serverTime) {
  if (sameMachine || received - sent > clock.roundTrip) return;
  clock.roundTrip = received - sent;
  clock.offset = serverTime - (sent + received) / 2;
}

// ---- One panel -------------------------------------------------------------------------------------------------------------------

class Panel {
  messages = 0;
  payloadBytes = 0;
  receivedBytes = 0;
  requests = 0;
  answers = 0; // a request that reached nobody put no head on the wire
  lost = 0;
  twice = 0;
  latencies = [];
  last = null; // the newest message
  freshSince = Infinity; // messages made before this are caught up with, and their latency says nothing

  constructor(key, title, path) {
    this.key = key;
    this.path = path;
    this.element = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.element.dataset.key = key;
    this.element.querySelector("h2").textContent = title;
    this.element.querySelector(".path code").textContent = `GET ${path}`;
    this.enter("connecting");
    document.getElementById("panels").append(this.element);
  }

  enter(state, words = state) {
    this.element.dataset.state = state;
    const element = this.element.querySelector(".words");
    if (element.textContent !== words) element.textContent = words;
    if (state !== "live") this.freshSince = Infinity;
    else if (this.freshSince === Infinity) this.freshSince = serverClock();
  }

  // The address to subscribe at: after the last message, if there is one.
  get url() {
    return this.last && server.epoch ? `${this.path}?after=${server.epoch}-${this.last.seq}` : this.path;
  }

  // The head of a response has come.
  answered(headBytes) {
    this.answers += 1;
    this.receivedBytes += headBytes;
    this.enter("live");
  }

  // Takes one message. `frameBytes` is what its frame adds to the payload.
  take(json, frameBytes) {
    const now = serverClock();
    const message = JSON.parse(json);
    const payloadBytes = bytesOf(json);
    this.receivedBytes += payloadBytes + frameBytes;
    if (message.gap) {
      this.last = null;
      return;
    }
    this.messages += 1;
    this.payloadBytes += payloadBytes;
    if (this.last && message.seq > this.last.seq + 1) this.lost += message.seq - this.last.seq - 1;
    // A number that was there before belongs to the same message, or to a server that was started anew.
    if (this.last && message.seq <= this.last.seq && message.sent_ms <= this.last.sent_ms) {
      this.twice += 1;
      return;
    }
    this.last = message;
    if (message.sent_ms < this.freshSince) return;
    this.latencies.push(now - message.sent_ms);
    if (this.latencies.length > WINDOW) this.latencies.shift();
  }

  show(name, text, isBad = false) {
    const element = this.element.querySelector(`[data-is="${name}"]`);
    element.textContent = text;
    element.classList.toggle("bad", isBad);
  }

  render() {
    this.show("messages", number.format(this.messages));
    this.show("lost", `${number.format(this.lost)} / ${number.format(this.twice)}`, this.lost + this.twice > 0);
    this.show("requests", number.format(this.requests));
    if (this.last) {
      this.element.querySelector(".name").textContent = this.last.name;
      this.element.querySelector(".value").textContent = this.last.value.toFixed(2);
      this.element.querySelector(".seq").textContent = `no. ${number.format(this.last.seq)}`;
    }
    if (this.messages > 0) {
      const wire = this.receivedBytes + this.answers * (server.requestHeadBytes[this.key] ?? 0);
      this.show("bytes", number.format(Math.round(wire / this.messages)));
      this.show("overhead", number.format(Math.round((wire - this.payloadBytes) / this.messages)));
    }
    if (this.latencies.length > 0) {
      const sorted = this.latencies.toSorted((a, b) => a - b);
      const rank = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
      this.show("last", milliseconds(this.latencies.at(-1)));
      this.show("p50", milliseconds(rank(0.5)));
      this.show("p99", milliseconds(rank(0.99)));
      this.draw();
    }
  }

  // On a logarithmic scale, the same for all panels: 0.1 ms at the bottom, 1 s at the top.
  draw() {
    const shown = this.latencies.slice(-CHART);
    const height = (latency) => (30 - Math.log10(Math.min(Math.max(latency, 0.1), 1000)) * 10).toFixed(1);
    const points = shown.map((latency, index) => `${CHART - shown.length + index + 1},${height(latency)}`);
    this.element.querySelector("polyline").setAttribute("points", points.join(" "));
  }
}

const milliseconds = (value) => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;

// ---- The four techniques ---------------------------------------------------------------------------------------------------------

// Bytes of a response head, from the fields that the browser shows.
function headBytes(response) {
  let bytes = bytesOf(`HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`);
  for (const [name, value] of response.headers) bytes += bytesOf(`${name}: ${value}\r\n`);
  return bytes;
}

// `size CRLF payload CRLF`, the size in hexadecimal (RFC 9112, section 7.1).
const chunkBytes = (payload) => payload.toString(16).length + 4;

// Two bytes, or four from 126 bytes on; a server does not mask (RFC 6455, section 5.2).
const frameHeadBytes = (payload) => (payload < 126 ? 2 : payload < 65536 ? 4 : 10);

// Connects again and again, each time a little later, until the connection holds. `attempt` ends when its connection does.
async function keepTrying(panel, attempt) {
  for (let failures = 0; ; failures += 1) {
    const before = panel.messages;
    panel.requests += 1;
    try {
      await attempt();
    } catch {
      // That it is over is all that matters; /stats finds out whether the server is gone.
    }
    if (panel.messages > before) failures = 0;
    const wait = Math.min(2000, 250 * 2 ** failures) * (0.75 + Math.random() / 2);
    panel.enter("down", `again in ${(wait / 1000).toFixed(1)} s`);
    await sleep(wait);
    panel.enter("connecting");
  }
}

// Fetch streaming: one response that does not end. Chunks are not messages (RFC 6202, section 3.2), lines are.
function subscribeByStream(panel) {
  return keepTrying(panel, async () => {
    const response = await fetch(panel.url, { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    panel.answered(headBytes(response));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop();
      for (const line of lines) panel.take(line, 1 + chunkBytes(bytesOf(line) + 1));
    }
  });
}

// Server-sent events: the browser does the work, connecting again and resuming included, as long as the server answers at all.
function subscribeByEvents(panel, responseHeadBytes) {
  return keepTrying(panel, () => new Promise((_, giveUp) => {
    const source = new EventSource(panel.url);
    source.onopen = () => panel.answered(responseHeadBytes);
    source.onmessage = ({ data, lastEventId }) => {
      if (lastEventId) server.epoch = lastEventId.split("-")[0];
      const fields = bytesOf(`id: ${lastEventId}\ndata: \n\n`);
      panel.take(data, fields + chunkBytes(bytesOf(data) + fields));
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) return giveUp(new Error("the browser gave up"));
      panel.requests += 1;
      panel.enter("down", "trying again");
    };
  }));
}

// Long polling: a request that is answered when there is something, then the next one.
function subscribeByPoll(panel) {
  return keepTrying(panel, async () => {
    for (let isFirst = true; ; isFirst = false) {
      if (!isFirst) panel.requests += 1;
      const response = await fetch(panel.url, { cache: "no-store" });
      if (!response.ok) throw new Error(response.statusText);
      panel.answered(headBytes(response));
      const body = await response.text();
      const { messages, last, gap } = JSON.parse(body);
      server.epoch = last.split("-")[0];
      if (gap) panel.last = null;
      panel.receivedBytes += bytesOf(body);
      // Each message as it stood in the list, so that its bytes count as they came; the frame is all that is around it.
      const texts = messages.length > 0 ? body.slice(body.indexOf("[") + 1, body.lastIndexOf("]")).split(/(?<=\}),(?=\{)/) : [];
      for (const text of texts) panel.take(text, -bytesOf(text));
    }
  });
}

// The head of a 101 with the three fields of RFC 6455, section 4.2.2, and the date.
const SWITCHING_BYTES = 166;

function subscribeByWebSocket(panel) {
  return keepTrying(panel, () => new Promise((resolve) => {
    const socket = new WebSocket(new URL(panel.url, location.href.replace(/^http/, "ws")));
    socket.onopen = () => panel.answered(SWITCHING_BYTES);
    socket.onmessage = ({ data }) => panel.take(data, frameHeadBytes(bytesOf(data)));
    socket.onclose = resolve;
  }));
}

// ---- The server ------------------------------------------------------------------------------------------------------------------

const MODELS = { "event-loop": "one event loop", threads: "a thread per connection" };
const rate = document.getElementById("rate");
let rateIsMoving = false;

function showModel(io) {
  document.getElementById("model").textContent = MODELS[io] ?? io;
}

function showRate(perSecond) {
  document.getElementById("rate-now").textContent = `${perSecond} message${perSecond === 1 ? "" : "s"}/s`;
}

function showStats(stats) {
  const texts = {
    open: number.format(stats.open),
    threads: stats.io === "threads" ? number.format(stats.threads) : "1 for all",
    requests: number.format(stats.requests),
    messages_out: number.format(stats.messages_out),
    bytes_out: stats.bytes_out < 1e6 ? `${(stats.bytes_out / 1e3).toFixed(0)} kB` : `${(stats.bytes_out / 1e6).toFixed(1)} MB`,
    uptime: duration(stats.uptime_seconds),
  };
  for (const [name, text] of Object.entries(texts)) document.querySelector(`[data-stat="${name}"]`).textContent = text;
  showModel(stats.io);
  if (!rateIsMoving) {
    rate.value = stats.feed.per_second;
    showRate(stats.feed.per_second);
  }
}

function duration(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts[0] > 0 ? `${parts[0]} h ${parts[1]} min` : parts[1] > 0 ? `${parts[1]} min ${parts[2]} s` : `${parts[2]} s`;
}

// An alert is spoken when its text changes: it changes once per trouble.
function showTrouble(sentence) {
  const trouble = document.getElementById("trouble");
  trouble.hidden = sentence === null;
  if (sentence === null) trouble.textContent = "";
  else if (trouble.textContent === "") trouble.textContent = sentence;
  document.getElementById("stats").classList.toggle("is-stale", sentence !== null);
}

function showClock() {
  document.getElementById("clock").textContent = sameMachine
    ? "Server and browser share this machine's clock."
    : `The server's clock is compared with this one's by the quickest answer of /stats so far; the error is at most half of its ${milliseconds(Math.min(clock.roundTrip, 9999))}.`;
}

async function watchServer() {
  for (;;) {
    const sent = wallClock();
    try {
      const response = await fetch("/stats", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!response.ok) throw new Error(response.statusText);
      const received = wallClock();
      const stats = await response.json();
      compareClocks(sent, received, stats.now_ms);
      server.epoch = stats.feed.epoch;
      for (const [key, bytes] of Object.entries(stats.feed.request_head_bytes)) {
        // 0 where a server that was started anew has had no such request yet.
        if (bytes > 0) server.requestHeadBytes[key] = bytes;
      }
      showTrouble(null);
      showStats(stats);
      showClock();
    } catch (error) {
      // A request that waits for one of the six connections fails by time, one to a server that is gone at once.
      const hint = error.name === "TimeoutError" ? " Is it open in more tabs? They share the browser's six connections." : "";
      showTrouble(`The server has not answered since ${new Date().toLocaleTimeString()}. This page keeps trying, and goes on where it was.${hint}`);
    }
    await sleep(STATS_MS);
  }
}

let rateTimer;
rate.addEventListener("input", () => {
  rateIsMoving = true;
  showRate(+rate.value);
  clearTimeout(rateTimer);
  rateTimer = setTimeout(async () => {
    // A rate that could not be set shows by itself: /stats puts the slider back.
    await fetch(`/feed/rate?per_second=${rate.value}`, { method: "POST", signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => {});
    rateIsMoving = false;
  }, 150);
});

// ---- Together --------------------------------------------------------------------------------------------------------------------

const panels = {
  stream: new Panel("stream", "Fetch streaming", "/feed/stream"),
  events: new Panel("events", "Server-sent events", "/feed/events"),
  poll: new Panel("poll", "Long polling", "/feed/poll"),
  ws: new Panel("ws", "WebSocket", "/feed/ws"),
};

showModel(document.getElementById("model").dataset.io);
watchServer();
subscribeByStream(panels.stream);
subscribeByPoll(panels.poll);
subscribeByWebSocket(panels.ws);
// EventSource does not show its response: the same head is asked for once by itself.
fetch(panels.events.path, { method: "HEAD" }).then(headBytes, () => 0).then((bytes) => subscribeByEvents(panels.events, bytes));
setInterval(() => Object.values(panels).forEach((panel) => panel.render()), RENDER_MS);
