// Tests of the page of mq: three clients keep their place while servers and the broker are killed.
//
// node mq.mjs EXAMPLES PICTURES [event-loop|threads ...]

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { closePage, fitsPhone, newPage, onBothModels, picture, start, stop } from "./support.mjs";

const require = createRequire(import.meta.url);
const STOMPJS = join(dirname(require.resolve("@stomp/stompjs")), "stomp.umd.min.js");
const CLIENTS = ["STOMP.js", "Server-sent events", "Long polling"];
const MORE = 30; // messages after each event, so that it is past

/** The rows of the account, by client, as numbers. */
const account = (page) =>
  page.$$eval("#account tbody tr", (rows) =>
    rows.map((row) => {
      const [arrived, onTheirWay, told, missing, twice, disordered] = [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent));
      return { client: row.querySelector("th").textContent, arrived, onTheirWay, told, missing, twice, disordered };
    }),
  );

/** Waits until all clients are connected and have received so many messages more. */
async function goesOn(page, clients = CLIENTS) {
  const from = await account(page);
  await page.waitForFunction(
    ([before, more, names]) =>
      [...document.querySelectorAll("#account tbody tr")].every((row, at) => {
        const name = row.querySelector("th").textContent;
        const panel = document.querySelector(`[data-client="${name}"]`);
        const isThrough = panel.dataset.state === "live" && Number(row.querySelector("td").textContent) >= before[at] + more;
        return isThrough || !names.includes(name);
      }),
    [from.map(({ arrived }) => arrived), MORE, clients],
  );
}

const stateOf = (page, process, state) => page.waitForSelector(`[data-process="${process}"][data-state="${state}"]`);
const press = (page, process, action) => page.click(`[data-process="${process}"] button.${action}`);
const serverOf = (page, client) => page.getAttribute(`[data-client="${client}"]`, "data-server");
const counts = async (page) => (await page.textContent("#verdict")).match(/\d+/g).map(Number); // sent, confirmed, not confirmed, waiting

async function killed(io) {
  const server = await start("mq", io, 0, ["--stompjs", STOMPJS]);
  const page = await newPage();
  await page.goto(server.url);
  assert.equal(await page.getAttribute("#model", "data-io"), io);
  await page.selectOption("#rate", "50");
  await goesOn(page);
  const places = await Promise.all(CLIENTS.map((client) => serverOf(page, client)));
  assert.deepEqual(places, ["server-1", "server-2", "server-3"]);

  // Each server once: its client goes on at another one. All of them are back at the end.
  for (const name of places) {
    await press(page, name, "kill");
    await stateOf(page, name, "down");
    await goesOn(page);
    for (const client of CLIENTS) assert.notEqual(await serverOf(page, client), name, `${client} is at a server that has ended`);
    await press(page, name, "start");
    await stateOf(page, name, "live");
  }
  // The clients move by themselves, too.
  for (const client of CLIENTS) {
    const before = await serverOf(page, client);
    await page.click(`[data-client="${client}"] button`);
    await page.waitForFunction(([of, from]) => document.querySelector(`[data-client="${of}"]`).dataset.server !== from, [client, before]);
  }
  await goesOn(page);
  // The broker: the clients stay, and wait.
  await press(page, "broker", "kill");
  await stateOf(page, "broker", "down");
  await page.getByText("The servers have lost the log.").waitFor();
  await picture(page, `mq-${io}-without-broker`);
  await press(page, "broker", "start");
  await stateOf(page, "broker", "live");
  await page.getByText("The log is back").waitFor();
  await goesOn(page);

  await page.selectOption("#rate", "0");
  await page.waitForFunction(() => / 0 without an answer/.test(document.getElementById("verdict").textContent));
  await page.waitForFunction(() => [...document.querySelectorAll("#account tbody tr")].every((row) => row.querySelectorAll("td")[1].textContent === "0"));
  const [sent, confirmed, unconfirmed] = await counts(page);
  assert.equal(sent, confirmed + unconfirmed);
  assert.ok(confirmed > 6 * MORE, `${confirmed} confirmed`);
  const expected = CLIENTS.map((client) => ({ client, arrived: confirmed, onTheirWay: 0, told: 0, missing: 0, twice: 0, disordered: 0 }));
  assert.deepEqual(await account(page), expected);
  assert.equal(await page.getAttribute("#verdict", "data-verdict"), "good");
  await picture(page, `mq-${io}`);
  await fitsPhone(page);
  await picture(page, `mq-${io}-phone`);
  await closePage(page);
  await stop(server);
}

/** Without the internet, the page says how to get STOMP.js, and the other clients work. */
async function withoutStompJs(io) {
  const server = await start("mq", io, 0, ["--servers", "2"]);
  const page = await newPage();
  await page.route("https://**", (route) => route.abort());
  await page.goto(server.url);
  await page.getByText("npm install @stomp/stompjs").waitFor();
  await goesOn(page, CLIENTS.slice(1));
  await closePage(page);
  await stop(server);
}

/** The account tells a loss from an order, and a repetition from a message of somebody else. */
async function accounts() {
  const server = await start("mq", "event-loop", 0, ["--servers", "2", "--stompjs", STOMPJS]);
  const page = await newPage();
  await page.goto(server.url);
  const of = (run) => page.evaluate(`import("/account.js").then(({ Ledger, Receipt }) => {
    const ledger = new Ledger();
    const receipt = new Receipt(ledger);
    const send = (id) => { const number = ledger.send(); if (id) ledger.confirm(number, id); else ledger.fail(); return number; };
    (${run})(send, receipt, ledger);
    const { arrived, onTheirWay, told, missing, twice, disordered, received } = receipt;
    return [arrived, onTheirWay, told, missing, twice, disordered, received];
  })`);
  const cases = {
    "in order": [(send, to) => ["a-1", "a-2"].forEach((id) => to.take(id, send(id))), [2, 0, 0, 0, 0, 0, 2]],
    "on its way": [(send) => send("a-1"), [0, 1, 0, 0, 0, 0, 0]],
    "before its confirmation": [(send, to, ledger) => { const n = ledger.send(); to.take("a-1", n); ledger.confirm(n, "a-1"); }, [1, 0, 0, 0, 0, 0, 1]],
    "confirmed late, and missing": [(send, to, ledger) => { const n = ledger.send(); to.take("a-2", send("a-2")); ledger.confirm(n, "a-1"); }, [1, 0, 0, 1, 0, 0, 1]],
    missing: [(send, to) => { send("a-1"); to.take("a-2", send("a-2")); }, [1, 0, 0, 1, 0, 0, 1]],
    told: [(send, to) => { send("a-1"); to.gap(); to.take("a-2", send("a-2")); }, [1, 0, 1, 0, 0, 0, 1]],
    "told too early": [(send, to) => { to.gap(); send("a-1"); to.take("a-2", send("a-2")); }, [1, 0, 0, 1, 0, 0, 1]],
    twice: [(send, to) => { const n = send("a-1"); to.take("a-1", n); to.take("a-1", n); }, [1, 0, 0, 0, 1, 0, 1]],
    "another page's, twice": [(_, to) => { to.take("a-1", null); to.take("a-1", null); }, [0, 0, 0, 0, 1, 0, 1]],
    disordered: [(send, to) => { const n = send("a-1"); to.take("a-2", send("a-2")); to.take("a-1", n); }, [1, 0, 0, 1, 0, 1, 2]],
    "not confirmed, and published": [(send, to) => to.take("a-1", send(null)), [0, 0, 0, 0, 0, 0, 1]],
    "another epoch, missing": [(send, to) => { send("a-9"); to.take("b-1", send("b-1")); }, [1, 0, 0, 1, 0, 0, 1]],
    "another epoch, sent before the confirmation": [(send, to, ledger) => { const n = ledger.send(); const m = ledger.send(); ledger.confirm(n, "a-9"); to.take("b-1", m); }, [0, 1, 0, 0, 0, 0, 1]],
  };
  for (const [title, [run, expected]] of Object.entries(cases)) assert.deepEqual(await of(run), expected, title);
  await closePage(page);
  await stop(server);
}

let isFirst = true;
await onBothModels("mq", async (io) => {
  await killed(io);
  await withoutStompJs(io);
  if (isFirst) await accounts();
  isFirst = false;
});
