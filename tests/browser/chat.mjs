// Tests of the chat's page in a browser: the people online, messages to all and to one person, and
// the fallback from WebSocket to long polling.
//
// node chat.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { HOSTILE, closePage, fitsPhone, newPage, onBothModels, picture, start, stop } from "./support.mjs";

// All of these pages have one address.
const OFTEN = ["--rate", "off"];

const join = async (page, server, name) => {
  await page.goto(server.url);
  await page.fill("#name", name);
  await page.click("#join button");
  await page.waitForSelector('body[data-state="live"]');
};

const say = async (page, text, to = "") => {
  await page.selectOption("#to", to);
  await page.fill("#text", text);
  await page.press("#text", "Enter");
};

const texts = (page, kind) => page.$$eval(`#log .${kind} .text`, (found) => found.map((element) => element.textContent));
const systemLines = (page) => page.$$eval("#log .system", (found) => found.map((element) => element.textContent));

/** Waits until a page shows a message of this kind with this text. */
const hears = (page, kind, text) =>
  page.waitForFunction(
    ([wanted, of]) => [...document.querySelectorAll(`#log .${of} .text`)].some((element) => element.textContent === wanted),
    [text, kind],
  );

const sees = (page, line) =>
  page.waitForFunction((wanted) => [...document.querySelectorAll("#log .system")].some((item) => item.textContent === wanted), line);

const isOnline = (page, count) => page.waitForFunction((wanted) => document.getElementById("online").textContent === wanted, `${count}`);

const isBy = (page, by) => page.waitForFunction((wanted) => document.getElementById("by").textContent === wanted, by);

const technique = (page, name) => page.waitForSelector(`body[data-state="live"][data-technique="${name}"]`);

/** Sends a POST without a browser. */
async function post(server, path, body, headers = {}) {
  const response = await fetch(new URL(path, server.url), { method: "POST", body: JSON.stringify(body), headers });
  const text = await response.text();
  return { status: response.status, text, json: response.ok && text !== "" ? JSON.parse(text) : null };
}

async function people(io) {
  const server = await start("chat", io, 0, OFTEN);
  const pages = [];
  for (const name of ["Ada", "Bob", "Cleo"]) {
    const page = await newPage();
    pages.push(page);
    await join(page, server, name);
    await isOnline(page, pages.length);
    await isOnline(pages[0], pages.length);
  }
  const [ada, bob, cleo] = pages;
  assert.equal(await ada.getAttribute("#model", "data-io"), io);
  await isBy(ada, "3 by WebSocket");

  await say(ada, "hello to all");
  for (const page of [ada, bob, cleo]) await hears(page, "say", "hello to all");
  await say(bob, "for Ada alone", "Ada");
  await hears(ada, "private", "for Ada alone");
  await hears(bob, "private", "for Ada alone");
  // All messages have one order. If Cleo got the private message, it would arrive before this one.
  await say(bob, "and for all again");
  await hears(cleo, "say", "and for all again");
  assert.deepEqual(await texts(cleo, "private"), [], "Cleo sees no private message to Ada");
  assert.deepEqual(await systemLines(ada), ["Ada joined", "Bob joined", "Cleo joined"]);

  await hostile(server, ada);
  await refusals(server, ada);
  await picture(ada, `chat-${io}`);

  // A reload keeps the person, and shows the earlier messages.
  await bob.reload();
  await technique(bob, "ws");
  await hears(bob, "private", "for Ada alone");
  await hears(bob, "say", "hello to all");
  await isOnline(bob, 3);

  await cleo.click("#leave");
  await isOnline(ada, 2);
  await sees(ada, "Cleo left");
  // A closed page counts as having left after the grace time.
  await closePage(bob);
  await isOnline(ada, 1);
  await sees(ada, "Bob left");
  assert.ok(!(await systemLines(ada)).includes("Mallory left"), "Mallory's leaving is announced under another name");

  await fitsPhone(ada);
  await scrolling(server, ada);
  await outage(server, io, ada);
  await closePage(ada);
  await closePage(cleo);
}

/** A new message must not scroll a page that shows older messages. */
async function scrolling(server, page) {
  const { json: dora } = await post(server, "/join", { name: "Dora" });
  await page.evaluate(() => (document.getElementById("log").scrollTop = 0));
  await post(server, "/say", { token: dora.token, text: "news" });
  await page.waitForSelector("#newest", { state: "visible" });
  assert.equal(await page.evaluate(() => document.getElementById("log").scrollTop), 0);
  await page.click("#newest");
  await page.waitForSelector("#newest", { state: "hidden" });
  await post(server, "/leave", { token: dora.token });
  await sees(page, "Dora left");
  const below = await page.evaluate(() => {
    const log = document.getElementById("log");
    return log.scrollHeight - log.scrollTop - log.clientHeight;
  });
  assert.ok(below < 2, `${below} px are out of sight at the end`);
}

async function hostile(server, page) {
  const { json: mallory } = await post(server, "/join", { name: `<b>"Mallory"</b>` });
  for (const text of [...HOSTILE, "\u0000 {{io}} ${1}"]) {
    assert.equal((await post(server, "/say", { token: mallory.token, text })).status, 202);
    await hears(page, "say", text);
  }
  assert.equal(await page.$("#log img, #log b b, #log script"), null, "elements made from messages");
  assert.equal(await page.evaluate(() => window.hacked), undefined, "a script in a message has run");
  await say(page, HOSTILE[0]);
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll("#log .own .text")].some((element) => element.textContent === wanted),
    HOSTILE[0],
  );
  await post(server, "/leave", { token: mallory.token });
}

async function refusals(server, page) {
  const ada = { name: "ada " };
  for (const [path, body, status] of [
    ["/join", ada, 409],
    ["/join", { name: " " }, 400],
    ["/join", { name: "x".repeat(25) }, 400],
    ["/join", { name: "a\u202eb" }, 400],
    ["/join", [], 400],
    ["/say", { token: "0".repeat(32), text: "x" }, 403],
    ["/say", { text: "x" }, 400],
    ["/leave", { token: "" }, 403],
    ["/topics/room", "x", 403],
  ]) {
    const answer = await post(server, path, body);
    assert.equal(answer.status, status, `${path} ${JSON.stringify(body)}: ${answer.text}`);
    assert.ok(answer.text.length > 10, "a sentence says why");
  }
  const from = { Origin: "http://elsewhere.example" };
  assert.equal((await post(server, "/join", { name: "Eve" }, from)).status, 403, "from a page of another site");

  // Nobody may read another person's private topic, with or without a cookie of their own.
  const { json: eve } = await post(server, "/join", { name: "Eve" });
  const { people: there } = await (await fetch(new URL("/people", server.url))).json();
  const { id } = there.find(({ name }) => name === "Ada");
  const cookie = { Cookie: `chat-${eve.id}=${eve.token}` };
  for (const [path, headers, status] of [
    [`/topics/private-${id}/poll`, cookie, 403],
    [`/topics/room,private-${id}/poll`, cookie, 403],
    [`/topics/room/long-poll?client=${id}`, cookie, 403],
    [`/topics/private-${id}`, cookie, 403],
    ["/topics/room/poll", {}, 403],
    ["/topics/room/poll", { Cookie: `chat-${eve.id}=${"0".repeat(32)}` }, 403],
    ["/topics/room/poll", cookie, 200],
    [`/topics/private-${eve.id}/poll?client=${eve.id}`, cookie, 200],
  ]) {
    const response = await fetch(new URL(path, server.url), { headers });
    assert.equal(response.status, status, `${path} with ${JSON.stringify(headers)}`);
    assert.ok(!(await response.text()).includes(eve.token), "a secret in an answer");
  }
  await post(server, "/leave", { token: eve.token });

  // Nobody may publish through the WebSocket of a subscription.
  const closed = await page.evaluate(() => {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/topics/room/ws`);
    socket.onopen = () => socket.send("without a name");
    return new Promise((resolve) => (socket.onclose = ({ code }) => resolve(code)));
  });
  assert.equal(closed, 1008, "the close code of a WebSocket that has sent a message");

  // A text that could not be sent stays in the box, and the page shows the reason.
  await page.fill("#text", "to nobody");
  // One call, because the page replaces the options each time that it learns who is online.
  await page.evaluate(() => {
    const to = document.getElementById("to");
    to.add(new Option("Nobody", "Nobody"));
    to.value = "Nobody";
    document.getElementById("text").form.requestSubmit();
  });
  await page.waitForFunction(() => document.getElementById("failed").textContent.includes("nobody called Nobody is here".slice(1)));
  assert.equal(await page.inputValue("#text"), "to nobody");
  await say(page, "to everybody");
  await hears(page, "say", "to everybody");
  assert.equal(await page.inputValue("#text"), "");
}

/**
 * The server restarts and has forgotten everything. The page must join again as the same person.
 */
async function outage(server, io, page) {
  await stop(server);
  await page.waitForSelector('body[data-state="down"]');
  const again = await start("chat", io, server.port, OFTEN);
  await technique(page, "ws");
  await isOnline(page, 1);
  await say(page, "still here");
  await hears(page, "say", "still here");
  await page.reload();
  await technique(page, "ws");
  await stop(again);
}

/**
 * Messages are sent all the time while a page falls back. The page must show each message once, in
 * order.
 */
async function fallback(io, without, settles, by) {
  const server = await start("chat", io, 0, ["--without", without, ...OFTEN]);
  const page = await newPage();
  const { json: talker } = await post(server, "/join", { name: "Talker" });
  // The sender must be online.
  const presence = new AbortController();
  const listening = fetch(new URL(`/topics/${talker.topics}/stream?client=${talker.id}`, server.url), {
    headers: { Cookie: `chat-${talker.id}=${talker.token}` },
    signal: presence.signal,
  });
  assert.equal((await listening).status, 200);
  const said = [];
  let isTalking = true;
  const talking = (async () => {
    while (isTalking) {
      const text = `message ${said.length}`;
      said.push(text);
      assert.equal((await post(server, "/say", { token: talker.token, text })).status, 202);
      await setTimeout(10);
    }
  })();
  await join(page, server, "Ada");
  await technique(page, settles);
  for (const name of without.split(",")) {
    const title = name === "ws" ? "WebSocket" : "SSE + POST";
    assert.match(await page.textContent("#fell"), new RegExp(`${title.replace("+", "\\+")} does not get through \\(.+\\)`));
  }
  await picture(page, `chat-${io}-${settles}`);
  await isBy(page, by);

  // The technique is changed by hand, back and forth, while messages are sent.
  for (const name of ["long-poll", settles, "long-poll", "auto"]) {
    await page.selectOption("#technique", name);
    await technique(page, name === "auto" ? settles : name);
  }
  isTalking = false;
  await talking;
  await hears(page, "say", said.at(-1));
  const shown = await texts(page, "say");
  assert.deepEqual(shown, said.slice(-shown.length), `what is shown of ${said.length}`);
  assert.ok(shown.length > 50 || shown.length === said.length, `shown ${shown.length} of ${said.length}`);
  assert.ok(!(await systemLines(page)).some((line) => line.includes("missing")), "the page shows a gap");
  presence.abort();
  await closePage(page);
  await stop(server);
}

/**
 * The fallback must also leave a technique that neither works nor fails, as behind some proxies.
 */
async function swallowed(io) {
  const server = await start("chat", io, 0, ["--without", "ws", ...OFTEN]);
  const page = await newPage();
  await page.route("**/events?*", () => {}); // never answered
  await join(page, server, "Ada");
  await technique(page, "long-poll");
  assert.match(await page.textContent("#fell"), /SSE \+ POST does not get through \(no answer in \d+ s\)/);
  await say(page, "through after all");
  await hears(page, "say", "through after all");
  assert.deepEqual(await systemLines(page), ["Ada joined"]);
  await closePage(page);
  await stop(server);
}

/** A message too many is not sent. The page says so, and the text stays in its box. */
async function limited(io) {
  const server = await start("chat", io, 0, ["--rate", "3/3600"]);
  const page = await newPage();
  await join(page, server, "Ada");
  for (const text of ["the first", "the second"]) {
    await say(page, text);
    await hears(page, "say", text);
  }
  await say(page, "one too many");
  const isTold = () => /^Not sent\. Too many messages from your address; try again in \d+ s\.$/.test(document.getElementById("failed").textContent);
  await page.waitForFunction(isTold);
  assert.equal(await page.inputValue("#text"), "one too many");
  assert.deepEqual(await texts(page, "say"), ["the first", "the second"]);
  await picture(page, `chat-${io}-limited`);
  await closePage(page);
  await stop(server);
}

await onBothModels("chat", async (io) => {
  await people(io);
  await fallback(io, "ws", "events", "1 by SSE + POST, 1 by stream");
  await fallback(io, "ws,events", "long-poll", "1 by long polling, 1 by stream");
  await swallowed(io);
  await limited(io);
});
