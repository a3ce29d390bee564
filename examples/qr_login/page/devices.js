// The devices of the user that is logged in here: their list, and signing them out.
//
// Owns the list and the subscription to two topics: the one of this device, and the one that all
// devices of the user share. Leaves the connection to pushlab.js, and what happens after this device
// was signed out to app.js. A message says only that something has changed; this page then asks.

import { sleep, subscribe } from "/pushlab.js";
import { Meter } from "/meter.js";
import { serverClock } from "/clock.js";

const $ = (id) => document.getElementById(id);

let account = null; // of this device, while it is logged in
let subscription = null;
let meter = null;
let hooks = null;
let isAsking = false;
let askAgain = false;

const RETRY_MS = 2000;

/** Shows the devices of an account, and follows their changes. */
export function follow(of, technique, every, given) {
  stop();
  [account, hooks] = [of, given];
  $("devices").hidden = false;
  meter = new Meter();
  listen(technique, every);
  look();
}

/** Goes on with another technique, at the same cursor. */
export function change(technique, every) {
  if (!account) return;
  account.after = subscription.cursor ?? account.after;
  subscription.close();
  meter = new Meter();
  listen(technique, every);
}

/** Ends the subscription. */
export function stop() {
  subscription?.close();
  account = subscription = null;
  $("devices").hidden = true;
}

/** The requests and bytes of the subscription, or `null`. */
export const figures = () => subscription && meter;

function listen(technique, every) {
  subscription = subscribe("/topics", {
    topics: account.topics,
    technique,
    after: account.after,
    everyS: every,
    onmessage: take,
    ongap: look,
    onstate: (state) => {
      if (state === "closed") return;
      hooks.state(state);
      // A server that has forgotten the session refuses the subscription, and cannot say why.
      if (state === "down") look();
    },
    onwire: meter.onwire,
  });
}

function take({ data }) {
  const { kind, why, at_ms: at } = JSON.parse(data);
  hooks.known(serverClock() - at);
  if (kind === "devices") return look();
  stop();
  return hooks.signedOut(why);
}

/** Asks for the devices. One request serves for all changes that happen while it is pending. */
async function look() {
  askAgain = true;
  if (isAsking) return;
  isAsking = true;
  while (askAgain && account) {
    askAgain = false;
    await lookOnce(account);
  }
  isAsking = false;
}

async function lookOnce(mine) {
  const response = await fetch("/devices", { cache: "no-store" }).catch(() => null);
  if (mine !== account) return;
  if (response?.ok) {
    show((await response.json()).devices);
  } else if (response?.status === 403) {
    // The session has ended between two requests, or the server was restarted. The answer says why.
    const sentence = (await response.text()).trim();
    stop();
    hooks.signedOut(sentence.slice(sentence.indexOf(": ") + 2));
  } else {
    await sleep(RETRY_MS);
    askAgain = true;
  }
}

function show(devices) {
  if (!account) return;
  const items = devices.map(({ id, browser, address, since_ms: since, is_this: isThis }) => {
    const [item, name, about, button] = ["li", "b", "small", "button"].map((tag) => document.createElement(tag));
    name.textContent = browser;
    about.textContent = `${isThis ? "this device, " : ""}${address}, since ${new Date(since).toLocaleTimeString()}`;
    Object.assign(button, { type: "button", textContent: "Sign out", hidden: isThis });
    button.setAttribute("aria-label", `Sign out ${browser}, ${address}`);
    button.onclick = () => signOut(id);
    item.append(name, about, button);
    return item;
  });
  $("device-list").replaceChildren(...items);
  $("device-count").textContent = devices.length;
  $("others-out").disabled = devices.length < 2;
}

async function signOut(which) {
  const response = await fetch(`/devices/${which}/sign-out`, { method: "POST" }).catch(() => null);
  // A device that is gone already is what the user wanted.
  if (response?.ok || response?.status === 404) return look();
  return hooks.trouble(response ? `Not signed out: ${(await response.text()).trim()}.` : "The server does not answer.");
}

$("others-out").onclick = () => signOut("others");
$("all-out").onclick = () => signOut("all");
