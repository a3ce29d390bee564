// The phone's page: reports the scan, shows which browser asks, and sends the answer.
//
// Owns the phone's secret and the three requests. Leaves the rules to the server. Only this
// script's POST counts as a scan: loading the page alone, as the preview of a link does, changes
// nothing.

const PATIENCE_MS = 5000;
const TOO_MANY = 429;

const $ = (id) => document.getElementById(id);
const id = location.pathname.split("/").pop();
const key = `phone-${id}`;
let phone = sessionStorage.getItem(key);
let until = 0;

/**
 * Sends a step of the login, and returns the answer. The error is a sentence for the phone's owner.
 */
async function act(what, body) {
  const headers = phone ? { Authorization: `Bearer ${phone}` } : {};
  const asked = fetch(`/login/${id}/${what}`, { method: "POST", headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
  const response = await asked.catch(() => null);
  if (!response) throw new Error("the server does not answer");
  if (!response.ok) throw Object.assign(new Error((await response.text()).trim()), { status: response.status });
  return response;
}

function show(is, title, sentence) {
  $("phone").dataset.is = is;
  $("title").textContent = title;
  $("sentence").textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  $("ask").hidden = is !== "asking";
}

async function scan() {
  const { phone: given, browser, address, began_ms: began, expires_in: left } = await (await act("scan")).json();
  phone = given;
  // Stored for a reload of this page.
  sessionStorage.setItem(key, given);
  until = performance.now() + left * 1000;
  $("browser").textContent = browser;
  $("address").textContent = address;
  $("asked").textContent = new Date(began).toLocaleTimeString();
  $("user").value = localStorage.getItem("user") ?? $("user").value;
  show("asking", "Log in there?", "A browser asks to be logged in as you.");
}

async function answer(what, body, title, sentence) {
  $("confirm").disabled = $("refuse").disabled = true;
  try {
    await act(what, body);
    show(what, title, sentence);
  } catch (error) {
    if (error.status !== TOO_MANY) return show("failed", "That did not work", `${error.message}.`);
    // The sentence says when to try again. The code is still valid.
    show("asking", "Log in there?", `${error.message}.`);
    $("confirm").disabled = $("refuse").disabled = false;
  }
  return undefined;
}

$("ask").onsubmit = (event) => {
  event.preventDefault();
  const user = $("user").value.trim();
  localStorage.setItem("user", user);
  answer("confirm", user, "Confirmed", `${$("browser").textContent} is logged in as ${user}. This page can be closed.`);
};
$("refuse").onclick = () => answer("refuse", "", "Refused", "Nobody was logged in. This page can be closed.");

setInterval(() => {
  const left = Math.ceil((until - performance.now()) / 1000);
  $("left").textContent = left > 0 ? `${left} s` : "expired";
  if (left <= 0 && $("phone").dataset.is === "asking") show("failed", "Too late", "This code has expired. Scan the one that is on the screen now.");
}, 250);

// A browser may prerender this page before the user opens it. That must not count as a scan.
if (document.prerendering) await new Promise((opened) => document.addEventListener("prerenderingchange", opened, { once: true }));
scan().catch((error) => show("failed", "That did not work", `${error.message}.`));
