// The control frame: one hidden page without end carries the messages of all topics, and a second
// request at a time changes its topics.
//
// Until the note `joined`, a joined topic has a cursor of its own, which is its last message. Behind
// the note, one cursor stands for all topics. After a cut, the frame comes back with this cursor, and
// joins again what was not joined yet.

"use strict";

/** A topic without messages. The connection begins with it, because it needs one. */
const BEGIN = "frames";
const AGAIN_MS = 1_000;

const client = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const boxes = [...document.querySelectorAll("input[type=checkbox]")];
const state = document.querySelector("#state");

/** The topics that the server has joined, and those that wait for the note. */
const joined = new Set();
const waiting = new Set();
/** The topics whose note `left` has not come. A topic must not be joined again before it. */
const leaving = new Set();
/** The last message of each topic, and the cursor of the joined ones. */
const lastOf = new Map();
let cursor = "";
let secret = "";
let frame;

const display = () => parent.frames.display;
const control = () => `/topics/${BEGIN}/control?client=${client}&control=${secret}`;

/** The function that the hidden page calls: `parent.f(..)`. */
function f(message) {
  if (message.control) {
    secret = message.control;
    state.value = "connected";
    for (const topic of waiting) change({ join: [topic], after: lastOf.get(topic) ?? "earliest" });
  } else if (message.joined) {
    for (const topic of message.joined) if (waiting.delete(topic)) joined.add(topic);
    cursor = message.last;
    display().note(`joined ${message.joined.join(", ")}`);
  } else if (message.left) {
    display().note(`left ${message.left.join(", ")}${message.sentence ? `: ${message.sentence}` : ""}`);
    for (const topic of message.left) {
      leaving.delete(topic);
      // The server has withdrawn a topic that the connection had.
      if (joined.delete(topic)) boxes.find((box) => box.value === topic).checked = false;
    }
    // A topic that was chosen again meanwhile is joined only now, behind all that was on its way.
    const again = () => {
      for (const topic of message.left) {
        if (secret && waiting.has(topic)) change({ join: [topic], after: lastOf.get(topic) ?? "earliest" });
      }
    };
    // With a code, the server could not join the topic.
    if (message.code) setTimeout(again, message.retry ?? AGAIN_MS);
    else again();
  } else if (message.end) {
    // The server's last word. The page without end is loaded behind it, and its successor comes then.
    display().note(message.sentence);
  } else if (message.gap) {
    display().note("messages are missing");
    if (!message.topics && message.from) cursor = message.from;
  } else {
    lastOf.set(message.topic, message.id);
    if (joined.has(message.topic)) cursor = message.id;
    display().show(message);
  }
  tell();
}

/** Shows which topics the connection has, for people and for tests. */
function tell() {
  state.dataset.joined = [...joined].sort().join(",");
}

async function change(body) {
  const answer = await fetch(control(), { method: "POST", body: JSON.stringify(body) }).catch((error) => error);
  // The connection may have ended. Its successor joins what waits.
  if (!answer.ok) state.value = answer.message ?? (await answer.text());
}

function open() {
  secret = "";
  leaving.clear();
  state.value = "connecting";
  frame?.remove();
  const own = document.createElement("iframe");
  frame = own;
  frame.hidden = true;
  const topics = [BEGIN, ...joined].join(",");
  frame.src = `/topics/${topics}/iframe?callback=f&client=${client}&control=1&after=${cursor}`;
  // The page without end has ended: its bytes are used up, or the connection was cut.
  frame.onload = () => setTimeout(() => own === frame && open(), AGAIN_MS);
  document.body.append(frame);
}

for (const box of boxes) {
  box.checked = false;
  box.onchange = () => {
    const topic = box.value;
    if (box.checked) {
      waiting.add(topic);
      if (secret && !leaving.has(topic)) change({ join: [topic], after: lastOf.get(topic) ?? "earliest" });
    } else {
      waiting.delete(topic);
      joined.delete(topic);
      if (secret && !leaving.has(topic)) {
        leaving.add(topic);
        change({ leave: [topic] });
      }
    }
    tell();
  };
}

document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  const [topic, text] = ["#to", "#text"].map((name) => document.querySelector(name).value);
  fetch(`/topics/${topic}`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: text });
};

// `fetch` may not outlive the page, and a beacon does. Its type is text/plain.
addEventListener("pagehide", () => secret && navigator.sendBeacon(control(), JSON.stringify({ leave: "all" })));
// A page that comes back from the browser's cache has lost its connection.
addEventListener("pageshow", (event) => event.persisted && open());
// A page without end would keep the pages around it from ever being loaded.
if (parent.document.readyState === "complete") open();
else parent.addEventListener("load", () => setTimeout(open));
