// The demo's page: ten subscriptions to one hub, side by side, compared and explained.
//
// Owns which panels are open, and brings the modules together. Leaves everything else to them.

import { token } from "/pushlab.js";
import { describeClock } from "/clock.js";
import { Comparison } from "./comparison.js";
import { authorization, publish, showPace, watchSliders } from "./controls.js";
import { FACTS, GROUPS } from "./facts.js";
import { Feed } from "./feed.js";
import { count, size, WINDOW_S } from "./figures.js";
import { Lag } from "./lag.js";
import { Newest } from "./newest.js";
import { Panel } from "./panel.js";
import { Server } from "./server.js";
import { canShare, Tabs } from "./tabs.js";
import { makeTour } from "./tour.js";

const RENDER_MS = 250;
const SECONDS = 6; // that the timing diagrams show
/**
 * The long HTTP connections of this page. A browser has six for a server: two stay free for short requests.
 * Two techniques are opened by the user only, because with them there would be more.
 */
const HELD_MAX = 4;
const ON_DEMAND = ["script-poll", "multipart"];

const $ = (id) => document.getElementById(id);
const write = (id, text) => $(id).textContent !== text && ($(id).textContent = text);

// All tabs of a browser are one client where they share a connection.
function storedToken() {
  try {
    return (localStorage.pushlabDemo ??= token("tab"));
  } catch {
    return token("tab");
  }
}

const browser = storedToken();
const newest = new Newest();
const lag = new Lag();
let opened = []; // the keys of the open panels, in the order of their opening
let seconds = SECONDS;
let large = null;

const tabs = new Tabs({
  state: () => ({ open: opened, holds: feeds.filter((feed) => feed.isShared && feed.isOwn).map(({ key }) => key) }),
  act: ({ open, cut, slow }) => {
    if (open) apply(open);
    if (cut) feedOf(cut).cut();
    if (slow !== undefined) feedOf("stream").slowDown(slow);
    render();
  },
  wire: (key, record) => feedOf(key).relay(record),
});

/** A technique that holds no connection would only be slowed down by another tab that is hidden. */
const feeds = FACTS.map((fact) => {
  const isShared = canShare && fact.group !== "asks";
  const options = { newest, isShared, client: `${browser}${isShared ? "" : token(".")}.${fact.key}`, onwire: (record) => isShared && tabs.relay(fact.key, record) };
  return { feed: new Feed(fact, options), options };
}).map(({ feed, options }) => {
  const panel = new Panel(feed, { cut: (key) => tabs.act({ cut: key }), toggle: (key) => setOpen(key, !feedOf(key).isOpen), enlarge });
  if (feed.key === "page") options.container = panel.container;
  $("panels").append(panel.element);
  return Object.assign(feed, { panel });
});
const feedOf = (key) => feeds.find((feed) => feed.key === key);

// ---- Open and closed ----------------------------------------------------------------------------

const heldOf = (keys) => keys.filter((key) => feedOf(key).isHeld);

/** At the limit, the panel that was opened first is closed. It keeps its cursor, and resumes there later. */
function setOpen(key, isOpen) {
  let open = opened.filter((other) => other !== key);
  if (isOpen && feedOf(key).isHeld && heldOf(open).length >= HELD_MAX) {
    const [oldest] = heldOf(open);
    open = open.filter((other) => other !== oldest);
    tell(`${feedOf(oldest).technique.title} made room for ${feedOf(key).technique.title}: this page holds ${HELD_MAX} of the browser’s six connections, and leaves two for short requests.`);
  }
  tabs.act({ open: isOpen ? [...open, key] : open });
}

function apply(open) {
  opened = open;
  for (const feed of feeds) if (!opened.includes(feed.key)) feed.close();
  for (const key of opened) feedOf(key).open();
}

/** Shows one panel in the place of all. */
function enlarge(key) {
  large = large === key ? null : key;
  $("panels").classList.toggle("has-large", large !== null);
  for (const { panel, key: each } of feeds) panel.isLarge = each === large;
}

addEventListener("keydown", ({ key }) => key === "Escape" && large !== null && !$("about").open && enlarge(large));

// ---- Display ------------------------------------------------------------------------------------

const comparison = new Comparison(feeds);
const server = new Server(authorization);
const titles = Object.fromEntries(feeds.map(({ key, technique }) => [key, technique.title]));
const tell = makeTour({ feeds, server, tabs, publish, setOpen, held: () => heldOf(opened).length, seconds: (shown) => ($("seconds").value = seconds = shown) });

for (const { mark, words } of Object.values(GROUPS)) {
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("span"), { className: "mark", textContent: mark }), ` ${words}`);
  $("groups").append(item);
}
feeds.forEach(({ fact }, at) => ($("groups").children[Object.keys(GROUPS).indexOf(fact.group)].dataset.group = fact.group));

$("seconds").onchange = ({ target }) => (seconds = Number(target.value));
$("how").onclick = () => $("about").showModal();
watchSliders(server, (error) => tell(error));

function render() {
  const pace = server.stats?.pace ?? { per_second: 5, bytes: 128 };
  for (const feed of feeds) feed.look();
  comparison.render(pace.bytes);
  for (const { panel } of feeds) panel.render(seconds);
  const isHeldNow = ({ isHeld, state }) => isHeld && !["closed", "cut"].includes(state);
  write("held", count(feeds.filter(isHeldNow).length));
  for (const [id, text] of [["lag", lag.words], ["tabs", tabs.words(titles)]]) {
    write(id, text);
    $(id).hidden = text === "";
  }
  write("caption", `in the last ${WINDOW_S} s, with ${pace.per_second} messages a second of ${size(pace.bytes)}`);
}

// ---- Start --------------------------------------------------------------------------------------

server.watch(browser, (stats, answerMs) => {
  lag.take(stats, answerMs);
  newest.see(stats.feed?.last);
  showPace(stats.pace);
  write("clock", describeClock());
  for (const feed of feeds) if (stats.clients[feed.client]) feed.figures.sent(stats.clients[feed.client].head_bytes);
});

const joined = await tabs.join();
const all = FACTS.map(({ key }) => key).filter((key) => !ON_DEMAND.includes(key));
// Without sharing, the connections of another tab leave no room for those of this one.
const alone = joined === null ? all : all.filter((key) => feedOf(key).fact.group === "asks");
apply(canShare && joined !== null ? joined : alone);
setInterval(render, RENDER_MS);

// For tests, and for the console.
window.pushlab = { feeds, render };
