// Tests of the login's pages in two browsers: one is the computer, the other is a phone that gets
// the address only by reading the picture of the code.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { closePage, fitsPhone, newPage, onBothModels, PATIENCE, picture, start, stop } from "./support.mjs";

const TECHNIQUES = ["taobao", "jd", "wechat", "long-poll", "script-poll", "events", "ws"];
// All of these browsers and phones have one address.
const OFTEN = ["--rate", "off"];
const JSQR = createRequire(import.meta.url).resolve("jsqr");
const IPHONE = {
  viewport: { width: 360, height: 740 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
};

const MAC = {
  userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
};

const until = (page, is) =>
  page.waitForSelector(`[data-is="${is}"]`, PATIENCE).catch(async (error) => {
    throw new Error(`wanted ${is}, the page says: ${await page.innerText("body")}`, { cause: error });
  });

const idOf = (url) => url.split("/").pop();
const codeOf = (page) => page.getAttribute("#here", "href").then(idOf);
const status = (page, path, options = {}) => page.evaluate(async ([to, how]) => (await fetch(to, how)).status, [path, options]);
const post = (page, path) => status(page, path, { method: "POST" });
const user = (page) => page.evaluate(async () => (await (await fetch("/me")).json()).user);

/** Opens the computer's page, and chooses a technique. */
async function computer(server, technique, options = {}) {
  const page = await newPage(options);
  await page.goto(server.url);
  await choose(page, technique);
  return page;
}

async function choose(page, technique) {
  await until(page, "new");
  await page.check(`input[value="${technique}"]`);
  await page.waitForSelector('#figures[data-state="live"]', PATIENCE);
}

/** Reads the code from a screenshot, as a phone's camera would. */
async function read(page) {
  await page.waitForFunction(() => document.getElementById("picture").complete && document.getElementById("picture").naturalWidth > 0, null, PATIENCE);
  const screen = (await page.locator("#login").screenshot()).toString("base64");
  const reader = await newPage();
  await reader.addScriptTag({ path: JSQR });
  const text = await reader.evaluate(async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data, width, height } = canvas.getImageData(0, 0, image.width, image.height);
    // No inverted code: some phones read only black on white.
    return window.jsQR(data, width, height, { inversionAttempts: "dontInvert" })?.data;
  }, screen);
  await closePage(reader);
  return text;
}

async function phone(url, options = {}) {
  const page = await newPage({ ...IPHONE, ...options });
  await page.goto(url);
  return page;
}

async function logsIn(server, technique, io) {
  const page = await computer(server, technique, { colorScheme: technique === "jd" ? "light" : "dark" });
  await picture(page, `qr_login-${io}-${technique}-new`);
  const url = await read(page);
  assert.equal(url, `${server.url}scan/${await codeOf(page)}`, `what the code holds, ${technique}`);

  const hand = await phone(url, { colorScheme: "dark" });
  await until(hand, "asking");
  assert.match(await hand.innerText("#browser"), /^Chrome on Linux$/);
  await until(page, "scanned");
  assert.match(await page.innerText("#steps"), /Scanned by Safari on iPhone/);
  assert.equal(await user(page), null, "nobody is logged in by a scan alone");
  await picture(page, `qr_login-${io}-${technique}-scanned`);
  await picture(hand, `qr_login-${io}-${technique}-phone`);

  // After a reload of its page, the phone is still the same phone.
  await hand.reload();
  await until(hand, "asking");
  await fitsPhone(hand);
  await hand.fill("#user", "Grace <b>Hopper</b>");
  await hand.tap("#confirm");
  await until(hand, "confirm");
  await until(page, "welcome");
  assert.equal(await page.innerText("#veil"), "Welcome, Grace <b>Hopper</b>");
  assert.equal(await user(page), "Grace <b>Hopper</b>");
  assert.equal(await user(hand), null, "the phone got no session of the computer's");
  await picture(page, `qr_login-${io}-${technique}-welcome`);
  await picture(hand, `qr_login-${io}-${technique}-done`);

  const cookies = await page.context().cookies();
  assert.deepEqual(cookies.map(({ name }) => name), ["session"], "the login's own cookie is spent");
  assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict", JSON.stringify(cookies));
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.equal(await post(page, `/login/${idOf(url)}/session`), 403, "a code is good for one login");

  const title = await page.innerText(`label:has(input[value="${technique}"]) b`);
  const line = await page.locator("#logins tr").first().locator("td").allInnerTexts();
  assert.equal(line[0], title);
  assert.ok(Number(line[1]) >= 1 && line.slice(2).every((text) => /\d/.test(text)), `the line says ${line}`);
  // A stream takes one request, a held request one for each answer. Short polling takes any number.
  const most = { events: 1, ws: 1, taobao: Infinity, jd: Infinity }[technique] ?? 4;
  assert.ok(Number(line[1]) <= most, `${technique} has made ${line[1]} requests`);

  await page.reload();
  await until(page, "welcome");
  await page.click("#log-out");
  await until(page, "new");
  assert.equal(await user(page), null);
  assert.notEqual(await codeOf(page), idOf(url));
  await closePage(hand);
  await closePage(page);
}

async function refuses(server, technique) {
  const page = await computer(server, technique);
  const hand = await phone(await read(page));
  await until(hand, "asking");
  await hand.tap("#refuse");
  await until(hand, "refuse");
  await until(page, "refused");
  assert.equal(await user(page), null);
  assert.match(await page.locator("#logins tr").first().innerText(), /refused/);
  await page.click("#again");
  await until(page, "new");
  await closePage(hand);
  await closePage(page);
}

/**
 * None of these can use a login: a preview of its link, a second phone, and a browser that knows
 * the code but did not begin the login.
 */
async function othersGetNothing(server) {
  const page = await computer(server, "events");
  const url = await read(page);
  const id = idOf(url);
  const preview = await fetch(url, { headers: { "User-Agent": "Slackbot-LinkExpanding 1.0" } });
  assert.equal(preview.status, 200);
  await preview.text();
  assert.equal((await page.evaluate(async (code) => (await fetch(`/login/${code}`)).json(), id)).state, "new", "a preview is no scan");

  const [first, second] = [await phone(url), await newPage(IPHONE)];
  await until(first, "asking");
  await second.goto(url);
  await until(second, "failed");
  assert.match(await second.innerText("#sentence"), /another phone has scanned/i);
  for (const what of ["confirm", "refuse"]) {
    const wrong = { method: "POST", body: "Eve", headers: { Authorization: "Bearer AAAAAAAAAAAAAAAAAAAAAA" } };
    assert.equal(await status(second, `/login/${id}/${what}`, wrong), 409, `${what} by a second phone`);
  }

  const eve = await newPage();
  await eve.goto(server.url);
  await until(eve, "new");
  const paths = [`/login/${id}`, `/login/${id}/wechat`, `/topics/login-${id}/poll`, `/topics/login-${id}/events`, `/topics/login-${id}`];
  for (const path of paths) assert.equal(await status(eve, path), 403, path);
  assert.equal(await status(eve, `/topics/login-${id}`, { method: "POST", body: '{"code":200}' }), 403, "publishing from outside");
  assert.equal(await status(page, `/topics/login-${id}`, { method: "POST", body: '{"code":200}' }), 403, "publishing by the browser itself");
  await first.tap("#confirm");
  // Another browser tries before and after the right one fetches the session.
  assert.equal(await post(eve, `/login/${id}/session`), 403);
  await until(page, "welcome");
  assert.equal(await post(eve, `/login/${id}/session`), 403);
  assert.equal(await user(eve), null);
  assert.equal(await user(page), "Ada");
  assert.equal(await eve.getAttribute("#login", "data-is"), "new");
  for (const one of [first, second, eve, page]) await closePage(one);
}

/** One login, received by one technique after another. */
async function changesTechnique(server) {
  const page = await computer(server, "jd");
  const url = await read(page);
  for (const technique of ["ws", "wechat", "script-poll"]) await choose(page, technique);
  const hand = await phone(url);
  await until(page, "scanned");
  for (const technique of ["long-poll", "wechat", "events"]) {
    await page.check(`input[value="${technique}"]`);
    await page.waitForSelector('#figures[data-state="live"]', PATIENCE);
  }
  await until(hand, "asking");
  await hand.tap("#confirm");
  await until(page, "welcome");
  // The techniques that were chosen before the scan do not count, except for the last of them.
  const used = ["Script-tag long polling", "Long polling", "WeChat's held request", "Server-sent events"];
  assert.equal(await page.locator("#logins td").first().innerText(), used.join(" → "));
  await closePage(hand);
  await closePage(page);
}

/**
 * After a code has expired, a new one follows by itself, with every technique, and also after the
 * server was away.
 */
async function expires(io) {
  let server = await start("qr_login", io, 0, ["--expires", "2", ...OFTEN]);
  const pages = await Promise.all(TECHNIQUES.map((technique) => computer(server, technique)));
  const codes = await Promise.all(pages.map(codeOf));
  const changed = async (page, code) => {
    const isOther = (old) => {
      const link = document.getElementById("here");
      return !link.hidden && !link.href.endsWith(old);
    };
    await page.waitForFunction(isOther, code, PATIENCE);
  };
  await Promise.all(pages.map((page, index) => changed(page, codes[index])));
  const late = await phone(`${server.url}scan/${codes[0]}`);
  await until(late, "failed");
  assert.match(await late.innerText("#sentence"), /scan the one that is on the screen now/);

  // This code is scanned, and then neither confirmed nor refused.
  const scanned = await codeOf(pages[3]);
  const slow = await phone(`${server.url}scan/${scanned}`);
  await until(slow, "failed");
  await changed(pages[3], scanned);
  for (const page of [late, slow, ...pages.slice(0, 3)]) await closePage(page);

  const { port } = server;
  await stop(server);
  await pages[3].waitForSelector("#trouble", { state: "visible", ...PATIENCE });
  server = await start("qr_login", io, port, OFTEN);
  for (const page of pages.slice(3)) {
    await until(page, "new");
    await page.waitForSelector("#trouble", { state: "hidden", ...PATIENCE });
    await page.waitForSelector('#figures[data-state="live"]', PATIENCE);
    await closePage(page);
  }
  await stop(server);
}

/** Logs a browser in. Its phone opens the address without reading the picture. */
async function loggedIn(server, technique, name, options = {}) {
  const page = await computer(server, technique, options);
  const hand = await phone(`${server.url}scan/${await codeOf(page)}`);
  await until(hand, "asking");
  await hand.fill("#user", name);
  await hand.tap("#confirm");
  await until(page, "welcome");
  await page.waitForSelector('#figures[data-state="live"]', PATIENCE);
  await closePage(hand);
  return page;
}

const deviceCount = (page, count) =>
  page.waitForFunction((wanted) => document.querySelectorAll("#device-list li").length === wanted, count, PATIENCE);

/**
 * A user with three devices, of which each follows the others by this technique: all see each
 * arrival and each end, and a device that is signed out learns it.
 */
async function severalDevices(server, technique, io) {
  const user = `Ada by ${technique}`;
  const [linux, mac, other] = [await loggedIn(server, technique, user), await loggedIn(server, technique, user, MAC), await loggedIn(server, technique, `Bob by ${technique}`)];
  for (const page of [linux, mac]) await deviceCount(page, 2);
  await deviceCount(other, 1);
  assert.match(await linux.innerText("#device-list"), /Chrome on Linux\nthis device, 127\.0\.0\.1, since .+\nSafari on macOS\n127\.0\.0\.1, since/);
  await picture(linux, `qr_login-${io}-${technique}-devices`);

  await linux.click("#device-list li:nth-child(2) button");
  await until(mac, "signed-out");
  assert.equal(await mac.innerText("#veil"), "Chrome on Linux ended this session.");
  await deviceCount(linux, 1);
  assert.equal(await linux.isDisabled("#others-out"), true);
  assert.equal(await mac.evaluate(async () => (await fetch("/devices")).status), 403);
  await picture(mac, `qr_login-${io}-${technique}-signed-out`);
  assert.ok(await mac.isHidden("#devices"));

  // It can log in again, and the other device sees it come.
  await mac.click("#again");
  await choose(mac, technique);
  const hand = await phone(`${server.url}scan/${await codeOf(mac)}`);
  await until(hand, "asking");
  await hand.fill("#user", user);
  await hand.tap("#confirm");
  await until(mac, "welcome");
  for (const page of [linux, mac]) await deviceCount(page, 2);
  await mac.click("#log-out");
  await until(mac, "new");
  await deviceCount(linux, 1);

  await linux.click("#all-out");
  await until(linux, "signed-out");
  assert.equal(await other.getAttribute("#login", "data-is"), "welcome", "another user is signed out, too");
  for (const page of [linux, mac, other, hand]) await closePage(page);
}

/** Devices of one user with different techniques, one of which changes it while it is logged in. */
async function mixedDevices(server, io) {
  const [first, second, third] = [await loggedIn(server, "ws", "Cleo"), await loggedIn(server, "events", "Cleo"), await loggedIn(server, "wechat", "Cleo", MAC)];
  for (const page of [first, second, third]) await deviceCount(page, 3);
  await second.check('input[value="long-poll"]');
  await second.waitForSelector('#figures[data-state="live"]', PATIENCE);
  assert.match(second.url(), /\?technique=long-poll$/);
  await second.reload();
  await until(second, "welcome");
  assert.ok(await second.isChecked('input[value="long-poll"]'), "the address names the technique");
  await deviceCount(second, 3);
  await first.click("#others-out");
  for (const page of [second, third]) await until(page, "signed-out");
  await deviceCount(first, 1);
  await fitsPhone(first);
  await picture(first, `qr_login-${io}-devices-phone`);
  for (const page of [first, second, third]) await closePage(page);
}

/** A server that was restarted knows no sessions: its devices learn that they are signed out. */
async function forgetsDevices(io) {
  let server = await start("qr_login", io, 0, OFTEN);
  const pages = [];
  for (const technique of ["long-poll", "events", "ws"]) pages.push(await loggedIn(server, technique, "Ada"));
  const { port } = server;
  await stop(server);
  server = await start("qr_login", io, port, OFTEN);
  for (const page of pages) {
    await until(page, "signed-out");
    assert.equal(await page.innerText("#veil"), "The server does not know this session.");
    await closePage(page);
  }
  await stop(server);
}

/** Too many steps from one address: both pages say so, and when to try again. */
async function limited(io) {
  const server = await start("qr_login", io, 0, ["--rate", "2/3600"]);
  const page = await computer(server, "events");
  const hand = await phone(`${server.url}scan/${await codeOf(page)}`);
  await until(hand, "asking");
  await hand.tap("#confirm");
  await hand.waitForFunction(() => /^Too many steps of logins from your address; try again in \d+ s\.$/.test(document.getElementById("sentence").textContent), null, PATIENCE);
  assert.ok(await hand.isEnabled("#confirm"), "the owner of the phone can try again");
  const second = await newPage();
  await second.goto(server.url);
  await second.waitForSelector("#trouble", { state: "visible", ...PATIENCE });
  assert.match(await second.innerText("#trouble"), /^The server gave no code: too many steps of logins from your address; try again in \d+ s\./);
  await picture(second, `qr_login-${io}-limited`);
  for (const one of [page, hand, second]) await closePage(one);
  await stop(server);
}

async function namesAnotherAddress(io) {
  const server = await start("qr_login", io, 0, ["--url", "https://login.example/"]);
  const page = await newPage();
  await page.goto(server.url);
  await until(page, "new");
  assert.equal(await read(page), `https://login.example/scan/${await codeOf(page)}`);
  assert.ok(await page.isHidden("#loopback"));
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.secure, "behind https cookies are for https");
  await closePage(page);
  await stop(server);
}

await onBothModels("qr_login", async (io) => {
  const server = await start("qr_login", io, 0, OFTEN);
  for (const technique of TECHNIQUES) await logsIn(server, technique, io);
  for (const technique of ["taobao", "wechat", "ws"]) await refuses(server, technique);
  await othersGetNothing(server);
  await changesTechnique(server);
  const page = await computer(server, "events");
  await fitsPhone(page);
  await closePage(page);
  // After a login, Taobao polls as JD, and the hub answers long polls as WeChat.
  for (const technique of ["jd", "wechat", "script-poll", "events", "ws"]) await severalDevices(server, technique, io);
  await mixedDevices(server, io);
  await stop(server);
  await forgetsDevices(io);
  await limited(io);
  await expires(io);
  await namesAnotherAddress(io);
});
