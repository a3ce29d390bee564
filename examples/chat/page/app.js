// The chat's page: the people online, the messages, and the technique that delivers them.
//
// Owns what the user sees and does. Leaves the connection to pushlab.js. Text from other people is
// only ever set as the text content of an element, so that it cannot become markup.

import { sleep, subscribe, techniques } from "/pushlab.js";
import { wordsOf } from "/states.js";

const TECHNIQUES = ["ws", "events", "long-poll"];
const SHORT = { ws: "WebSocket", events: "SSE + POST", "long-poll": "long polling" };
const PATIENCE_MS = 8000;
const RETRY_MS = [500, 4000]; // the shortest and the longest back-off
const LINES_MAX = 1000; // older lines are removed
const PEOPLE_MS = 1000; // between two requests for the people online
const GROWN_PX = 128;

const $ = (id) => document.getElementById(id);
const log = $("log");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

let me = null;
let subscription = null;

// ---- The server ---------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Error("The server does not answer.");
  }
  const text = await response.text();
  if (!response.ok) throw new Refused(response.status, sentence(text.trim() || `the server answers ${response.status}`));
  return text === "" ? null : JSON.parse(text);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

// ---- Joining and leaving ------------------------------------------------------------------------

async function join(name, token) {
  const answer = await post("/join", { name, token });
  const isSame = me?.id === answer.id;
  const isBack = me !== null;
  me = answer;
  show($("join"), false);
  show($("room"), true);
  if (isSame) return;
  if (!isBack) {
    log.replaceChildren();
    for (const envelope of answer.history) take(envelope);
  }
  listen(subscription?.cursor ?? answer.after);
  lookAround();
}

/** Subscribes by the chosen technique. */
function listen(after) {
  subscription?.close();
  subscription = subscribe("/topics", {
    topics: me.topics,
    technique: wanted(),
    after,
    // The client name is the person's id. It keeps the person online between two polls. The cookie
    // has the secret.
    client: me.id,
    presence: true,
    retryMs: RETRY_MS,
    onmessage: take,
    ongap: gap,
    onstate: state,
  });
}

function stopListening() {
  subscription?.close();
  subscription = null;
}

async function leave() {
  const { token } = me;
  me = null;
  stopListening();
  enter("closed", "not connected");
  show($("room"), false);
  show($("fell"), false);
  await askName();
  await post("/leave", { token }).catch(() => {}); // an error means that the server has already removed this person
}

async function askName(words = "") {
  show($("join"), true);
  tell($("refused"), words);
  $("name").focus();
  const { online } = await fetch("/people").then((response) => response.json(), () => ({ online: 0 }));
  $("before").textContent = online === 0 ? "" : online === 1 ? "One person is here." : `${online} people are here.`;
}

$("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("join").querySelector("button");
  button.disabled = true;
  try {
    await join($("name").value);
    tell($("refused"), "");
    $("text").focus();
  } catch (error) {
    tell($("refused"), error.message);
  }
  button.disabled = false;
});

$("leave").addEventListener("click", leave);

let isComingBack = false;

/** The server does not know this person: it was restarted, or this page was away for too long. */
async function refused(status, words) {
  if (isComingBack || me === null) return;
  isComingBack = true;
  try {
    if (status !== 403) throw new Error(sentence(words));
    await join(me.name, me.token);
  } catch (error) {
    if (error.status === 409) {
      me = null;
      stopListening();
      enter("closed", "not connected");
      show($("room"), false);
      askName(error.message);
    } else tell($("trouble"), error.message);
  }
  isComingBack = false;
}

// A reload keeps the person. The data is stored only while the page unloads: a copy of the tab,
// made before, becomes another person.
const kept = sessionStorage.getItem("me");
addEventListener("pagehide", () => me && sessionStorage.setItem("me", JSON.stringify({ name: me.name, token: me.token })));
addEventListener("pageshow", () => sessionStorage.removeItem("me"));

// ---- The connection -----------------------------------------------------------------------------

const wanted = () => ($("technique").value === "auto" ? TECHNIQUES : [$("technique").value]);

for (const name of TECHNIQUES) $("technique").add(new Option(nameOf(name), name));

$("technique").addEventListener("change", () => {
  show($("fell"), false);
  if (me) listen(subscription?.cursor);
});

function nameOf(name) {
  return name === "events" ? "SSE + POST" : techniques[name].title;
}

function state(now, detail) {
  if (now === "closed") return;
  const name = nameOf(detail.technique);
  if (detail.fell) fell(detail.fell, detail.technique);
  document.body.dataset.technique = detail.technique;
  enter(now, now === "live" ? name : `${name}: ${wordsOf(now, detail)}`);
  if (now === "live") tell($("trouble"), "");
  if (detail.status) refused(detail.status, detail.reason);
}

function enter(now, words) {
  document.body.dataset.state = now;
  $("words").textContent = words;
}

function fell({ technique: from, reason }, next) {
  const last = $("fell").hidden ? "" : `${$("fell").textContent} `;
  tell($("fell"), `${last}${nameOf(from)} does not get through (${reason}): ${nameOf(next)} instead.`);
}

// ---- Messages -----------------------------------------------------------------------------------

function take({ topic, data }) {
  if (topic.endsWith(".presence")) {
    if (topic === "room.presence") lookAround();
    return;
  }
  const message = JSON.parse(data);
  if (message.kind === "join") line("system", `${message.name} joined`);
  else if (message.kind === "leave") line("system", `${message.name} left`);
  else said(message);
}

function gap() {
  line("system warning", "Some messages may be missing here: the server does not remember as far back as this page does.");
}

function line(kind, text) {
  const item = make("li", kind);
  item.textContent = text;
  append(item);
}

function said({ kind, from, name, to_name: toName, text, at }) {
  const isOwn = from === me.id;
  const item = make("li", kind);
  if (isOwn) item.classList.add("own");
  const who = make("p", "who");
  const [speaker, time] = [make("b"), make("time")];
  speaker.textContent = isOwn ? "You" : name;
  who.append(speaker);
  if (kind === "private") {
    const secret = make("span", "secret");
    secret.textContent = isOwn ? `privately to ${toName}` : "privately to you";
    who.append(secret);
  }
  time.dateTime = new Date(at).toISOString();
  time.textContent = clock.format(at);
  who.append(time);
  const words = make("p", "text");
  words.textContent = text;
  item.append(who, words);
  append(item, isOwn);
}

function append(item, isOwn = false) {
  const stays = isAtEnd();
  log.append(item);
  while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
  if (stays || isOwn) toEnd();
  else show($("newest"), true);
}

const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 48;

function toEnd() {
  log.scrollTop = log.scrollHeight;
  show($("newest"), false);
}

let wasAtEnd = true;
log.addEventListener("scroll", () => {
  wasAtEnd = isAtEnd();
  if (wasAtEnd) show($("newest"), false);
});
new ResizeObserver(() => wasAtEnd && toEnd()).observe(log);
$("newest").addEventListener("click", toEnd);

// ---- The people online --------------------------------------------------------------------------

let isLooking = false;
let lookAgain = false;

/** Reads the people online. One request serves for all changes that happen while it is pending. */
async function lookAround() {
  lookAgain = true;
  if (isLooking) return;
  isLooking = true;
  while (lookAgain) {
    lookAgain = false;
    try {
      const response = await fetch("/people", { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.ok) showPeople(await response.json());
    } catch {
      // The connection's state already shows that the server is away. The next change is read when
      // it is back.
    }
    await sleep(PEOPLE_MS * (0.75 + Math.random() / 2));
  }
  isLooking = false;
}

function showPeople({ online, people }) {
  if (me === null) return;
  $("online").textContent = online;
  const counts = new Map();
  for (const { technique: name } of people) counts.set(name, (counts.get(name) ?? 0) + 1);
  $("by").textContent = [...counts].map(([name, count]) => `${count} by ${SHORT[name] ?? name}`).join(", ");
  $("people").replaceChildren(...people.map(personItem));
  const chosen = $("to").value;
  const others = people.filter(({ id }) => id !== me.id).map(({ name }) => name);
  // The chosen person stays in the list after leaving: otherwise a private message would go to
  // everybody.
  if (chosen !== "" && !others.includes(chosen)) others.push(chosen);
  $("to").replaceChildren(new Option("everybody", ""), ...others.map((name) => new Option(name, name)));
  address(chosen);
}

function personItem({ id, name, technique: how }) {
  const item = make("li", id === me.id ? "me" : "");
  const button = make("button");
  const [who, by] = [make("span", "who"), make("span", "how")];
  button.type = "button";
  who.textContent = name;
  by.textContent = id === me.id ? `you, ${SHORT[how] ?? how}` : (SHORT[how] ?? how);
  button.append(who, by);
  if (id === me.id) button.disabled = true;
  else {
    button.dataset.name = name;
    button.title = `Write to ${name} privately`;
    button.addEventListener("click", () => {
      address($("to").value === name ? "" : name);
      $("text").focus();
    });
  }
  item.append(button);
  return item;
}

function address(name) {
  $("to").value = name;
  $("say").classList.toggle("is-private", name !== "");
  $("text").placeholder = name === "" ? "Message" : `Message to ${name} alone`;
  for (const button of $("people").querySelectorAll("[data-name]")) button.setAttribute("aria-pressed", button.dataset.name === name);
}

$("to").addEventListener("change", () => address($("to").value));

// ---- Sending ------------------------------------------------------------------------------------

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const box = $("text");
  if (box.value.trim() === "" || box.readOnly) return;
  box.readOnly = true;
  try {
    await post("/say", { token: me.token, to: $("to").value || null, text: box.value });
    box.value = "";
    grow();
    tell($("failed"), "");
  } catch (error) {
    // The text stays in the box, so that the user can send it again.
    tell($("failed"), `Not sent. ${error.message}`);
    if (error.status === 403) refused(403, error.message);
  }
  box.readOnly = false;
});

$("text").addEventListener("keydown", (event) => {
  // With an input method, Enter ends the composition of a character and must not send the message.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});
$("text").addEventListener("input", grow);

function grow() {
  const box = $("text");
  box.style.height = "";
  if (box.scrollHeight > box.clientHeight) box.style.height = `${Math.min(GROWN_PX, box.scrollHeight + 2)}px`;
}

// ---- Elements -----------------------------------------------------------------------------------

function make(name, kind = "") {
  const element = document.createElement(name);
  element.className = kind;
  return element;
}

function show(element, isShown) {
  element.hidden = !isShown;
}

function tell(element, text) {
  element.textContent = text;
  show(element, text !== "");
}

if (kept === null) askName();
else {
  const { name, token } = JSON.parse(kept);
  $("name").value = name;
  join(name, token).catch((error) => askName(error.message));
}
