// The computer's page: a QR code, the state of its login, and the cost of learning that state.
//
// Owns one login after another, each with a subscription to its topic. Leaves the connection to
// pushlab.js, the techniques with codes to codes.js, and a user's devices to devices.js. With every
// technique, the state of a login comes from the server, and only this browser can fetch the session:
// the cookie that it needs cannot be read by scripts.

import { sleep, subscribe, techniques } from "/pushlab.js";
import { Meter } from "/meter.js";
import { compareClocks, describeClock, serverClock, wallClock } from "/clock.js";
import * as devices from "/devices.js";
import "/codes.js";

const PATIENCE_MS = 5000; // for a request that is answered at once
const RETRY_MS = 2000;
const TOLD_MS = 700; // after a code's expiry, until this page asks the server itself
const RENDER_MS = 100;

/** Of each technique: what it does, its endpoint, and the seconds between two polls of the hub. */
const ABOUT = {
  taobao: { about: "a request every 5\u00a0seconds", endpoint: "/login/\u2026/taobao", every: 5 },
  jd: { about: "after a pause of 1\u00a0second, a request every 3\u00a0seconds", endpoint: "/login/\u2026/jd", every: 3 },
  wechat: { about: "held up to 25\u00a0s: 408 nothing yet, 201 scanned, 200 confirmed, 400 expired", endpoint: "/login/\u2026/wechat" },
  "long-poll": { about: "the same by the hub, with a cursor instead of a code", endpoint: "/topics/\u2026/long-poll" },
  "script-poll": { about: "long polling by a script element: works across origins, without CORS", endpoint: "/topics/\u2026/long-poll?callback=f" },
  events: { about: "one response that does not end; each message is an event", endpoint: "/topics/\u2026/events" },
  ws: { about: "one connection in both directions", endpoint: "/topics/\u2026/ws" },
};

const number = new Intl.NumberFormat("en");
const $ = (id) => document.getElementById(id);

const asked = new URLSearchParams(location.search).get("technique");
let technique = Object.hasOwn(ABOUT, asked ?? "") ? asked : "events";
let login = null;
let news = null; // how long the latest news of a device was on its way

const duration = (ms) => (ms < 10 ? `${Math.max(ms, 0).toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`);
const kilobytes = (count) => (count < 10_000 ? `${number.format(count)} B` : `${number.format(Math.round(count / 1000))} kB`);
const ask = (path, options = {}) => fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });

function showTrouble(sentence) {
  $("trouble").hidden = sentence === null;
  $("trouble").textContent = sentence ?? "";
}

// ---- One login after another --------------------------------------------------------------------

async function begin() {
  leave();
  devices.stop();
  show("begin");
  const mine = (login = { view: { code: 408, state: "new" }, known: {}, meter: new Meter() });
  while (mine === login) {
    try {
      const sent = wallClock();
      const response = await ask("/login", { method: "POST" });
      if (!response.ok) throw Object.assign(new Error((await response.text()).trim()), { retryMs: retryOf(response) });
      const begun = await response.json();
      compareClocks(sent, wallClock(), begun.now_ms);
      showTrouble(null);
      if (mine !== login) return;
      const life = begun.expires_in * 1000;
      Object.assign(mine, begun, { cursor: begun.after, life, until: performance.now() + life });
      listen();
      return show("new");
    } catch (error) {
      showTrouble(`The server gave no code: ${error.message}. This page keeps trying.`);
      await sleep(error.retryMs ?? RETRY_MS);
    }
  }
}

/** When to come back, if the server says so. */
function retryOf(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? seconds * 1000 : undefined;
}

/**
 * Listens by the chosen technique, at the cursor of the one before. Until the first news, the
 * figures start again with each choice.
 */
function listen() {
  const mine = login;
  stopListening(mine);
  if (mine.view.state === "new") Object.assign(mine, { techniques: [], meter: new Meter(), began: performance.now() });
  mine.techniques.push(technique);
  mine.subscription = subscribe("/topics", {
    topics: mine.topic,
    technique,
    after: mine.cursor,
    everyS: ABOUT[technique].every,
    login: mine,
    oncode: (text) => learn(JSON.parse(text)),
    onmessage: ({ data }) => learn(JSON.parse(data)),
    ongap: look,
    onstate: (state) => ($("figures").dataset.state = state),
    onwire: mine.meter.onwire,
  });
}

function stopListening(of) {
  const { subscription } = of;
  if (!subscription) return;
  of.subscription = null;
  of.cursor = subscription.cursor;
  subscription.close();
}

function leave() {
  if (login) stopListening(login);
  login = null;
  $("figures").dataset.state = "closed";
}

/**
 * Takes the state of the login, from the subscription or from a request. The same state a second
 * time changes nothing.
 */
function learn(view) {
  if (view.code === login.view.code || login.isOver) return;
  login.view = view;
  login.known[view.state] = { after: serverClock() - view.since_ms, at: performance.now() - login.began };
  if (view.state === "scanned") return show("scanned");
  login.isOver = true;
  stopListening(login);
  $("figures").dataset.state = "closed";
  if (view.state === "confirmed") return enter();
  if (view.state === "refused") {
    note();
    return show("refused");
  }
  return renew();
}

/** Requests the state of the login, when the subscription did not tell it. */
async function look() {
  const mine = login;
  const response = await ask(`/login/${mine.id}`).catch(() => null);
  if (mine !== login) return;
  if (response?.ok) return learn(await response.json());
  // The server has forgotten the login, or was restarted.
  if (response) return renew();
  showTrouble("The server does not answer. This page keeps trying.");
  await sleep(RETRY_MS);
  if (mine === login) return look();
}

/** Fetches the session. Its cookie is set by the browser; this script cannot read it. */
async function enter() {
  const mine = login;
  note();
  show("confirmed");
  const response = await ask(`/login/${mine.id}/session`, { method: "POST" }).catch(() => null);
  if (mine !== login) return;
  if (!response?.ok) {
    showTrouble(response ? `Not logged in: ${(await response.text()).trim()}.` : "The login was confirmed, but its session did not arrive.");
    return show("refused");
  }
  return welcome(await response.json());
}

/** Begins a new login after an expired one, as soon as the page is visible. */
async function renew() {
  const mine = login;
  stopListening(mine);
  show("expired");
  while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
  if (mine === login) return begin();
}

/** Shows that this browser is logged in, and follows the devices of its user. */
function welcome(account) {
  if (login) stopListening(login);
  news = null;
  $("veil").textContent = `Welcome, ${account.user}`;
  show("welcome");
  devices.follow(account, technique, ABOUT[technique].every, {
    state: (state) => ($("figures").dataset.state = state),
    known: (ms) => (news = ms),
    signedOut,
    trouble: showTrouble,
  });
}

/** This device was signed out: by another one, by a newer login, or because its time is over. */
function signedOut(why) {
  $("figures").dataset.state = "closed";
  $("veil").textContent = `${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
  show("signed-out");
}

$("again").onclick = () => {
  showTrouble(null);
  begin();
};

$("log-out").onclick = async () => {
  // This device does not wait for the news of its own end.
  devices.stop();
  await ask("/logout", { method: "POST" }).catch(() => null);
  begin();
};

// ---- Display ------------------------------------------------------------------------------------

const STEPS = ["new", "scanned", "confirmed"];
const VEILS = { begin: "", new: "", scanned: "Confirm on your phone", confirmed: "Logging in", refused: "Refused", expired: "Expired" };

function show(is) {
  $("login").dataset.is = is;
  if (is in VEILS) $("veil").textContent = VEILS[is];
  $("login-title").textContent = { welcome: "Logged in", "signed-out": "Signed out" }[is] ?? "Scan with your phone";
  $("again").hidden = is !== "refused" && is !== "signed-out";
  $("log-out").hidden = is !== "welcome";
  $("here").hidden = $("picture").hidden = !["new", "scanned"].includes(is);
  if (is === "new") {
    $("picture").src = `/login/${login.id}/qr.svg`;
    $("here").href = `/scan/${login.id}`;
    const { hostname, host } = new URL(login.url);
    $("loopback").hidden = !/^(localhost|127\..*|\[::1\])$/.test(hostname);
    $("host").textContent = host;
    $("clock").textContent = describeClock();
  }
  showSteps(is);
}

function showSteps(is) {
  const at = is === "welcome" ? STEPS.length : { scanned: 1, confirmed: 2, refused: 2 }[is] ?? 0;
  for (const item of $("steps").children) {
    const { step } = item.dataset;
    const index = STEPS.indexOf(step);
    item.dataset.done = String(index < at);
    item.dataset.now = String(index === at && is !== "refused");
    const known = login?.known[step === "confirmed" && is === "refused" ? is : step];
    item.querySelector("small").textContent = known ? `known ${duration(known.after)} later` : "";
  }
  const [, scanned, confirmed] = [...$("steps").children].map((item) => item.querySelector("span"));
  scanned.textContent = login?.view.phone ? `Scanned by ${login.view.phone}` : "Scanned";
  confirmed.textContent = is === "refused" ? "Refused" : "Confirmed";
}

function render() {
  const left = login?.until ? Math.max(0, login.until - performance.now()) : 0;
  const isOpen = ["new", "scanned"].includes($("login").dataset.is);
  $("bar").style.width = isOpen ? `${(100 * left) / login.life}%` : "0";
  $("left").textContent = isOpen ? `Valid for ${Math.ceil(left / 1000)} s; then a new code follows` : "\u00a0";
  if (isOpen && left === 0 && !login.isOverdue) {
    const mine = login;
    mine.isOverdue = true;
    sleep(TOLD_MS).then(() => (mine === login && mine.subscription ? look() : undefined));
  }
  const ofDevices = devices.figures();
  const last = ofDevices ? news : Object.values(login?.known ?? {}).at(-1)?.after;
  const { requests, downBytes } = ofDevices ?? login?.meter ?? new Meter();
  $("requests-of").textContent = ofDevices ? "Requests since the login" : "Requests for this code";
  $("requests").textContent = number.format(requests);
  $("bytes").textContent = kilobytes(downBytes);
  $("state").textContent = $("figures").dataset.state;
  $("latency").textContent = last === null || last === undefined ? "–" : duration(last);
}

// ---- The table of logins ------------------------------------------------------------------------

const KEPT = 12;

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem("logins")) ?? [];
  } catch {
    return [];
  }
}

/** Adds a line for a login that was confirmed or refused. */
function note() {
  const { meter, known } = login;
  const answer = known.confirmed ?? known.refused;
  const cells = [
    login.techniques.map((key) => techniques[key].title).join(" → "),
    number.format(meter.requests),
    kilobytes(meter.downBytes),
    duration(answer.at),
    known.scanned ? duration(known.scanned.after) : "with the answer",
    `${duration(answer.after)}${known.refused ? ", refused" : ""}`,
  ];
  sessionStorage.setItem("logins", JSON.stringify([cells, ...kept()].slice(0, KEPT)));
  showLogins();
}

function showLogins() {
  const lines = kept().map((cells) => {
    const line = document.createElement("tr");
    for (const text of cells) line.insertCell().textContent = text;
    return line;
  });
  if (lines.length > 0) $("logins").replaceChildren(...lines);
}

// ---- Start --------------------------------------------------------------------------------------

for (const [key, { about, endpoint, every }] of Object.entries(ABOUT)) {
  const [label, input, title, words, path] = ["label", "input", "b", "small", "code"].map((name) => document.createElement(name));
  Object.assign(input, { type: "radio", name: "technique", value: key, checked: key === technique });
  input.onchange = () => {
    technique = key;
    // The address of this page then names the technique, for a bookmark or a reload.
    history.replaceState(null, "", `?technique=${key}`);
    if (login?.subscription) listen();
    else devices.change(key, every);
  };
  title.textContent = techniques[key].title;
  words.textContent = about;
  path.textContent = endpoint;
  label.append(input, title, words, path);
  $("techniques").append(label);
}

showLogins();
setInterval(render, RENDER_MS);
const me = await ask("/me").then((response) => response.json()).catch(() => ({ user: null }));
if (me.user) welcome(me);
else begin();
