// Four more techniques for pushlab.js, which the pages compare and which a program hardly chooses:
// meta refresh, short polling, JSONP polling, and a multipart stream.
//
// Owns how each of them moves messages. Leaves the rest to pushlab.js. `everyS` is the option for
// the seconds between two polls, and `container` the element for a visible frame.

import { pollByScript, sleep, techniques } from "/pushlab.js";

const EVERY_S = 2;
const decoder = new TextDecoder();

/** A page that reloads itself. Its frame has this page's origin, so that this script may read it. */
function readPage(attempt) {
  const { container, everyS = EVERY_S } = attempt.options;
  const frame = document.createElement("iframe");
  frame.title = "a page that reloads itself";
  frame.hidden = container === undefined;
  let reloads = 0;
  return new Promise((_, reject) => {
    frame.onload = () => {
      const page = frame.contentDocument;
      if (!page?.querySelector('meta[http-equiv="refresh"]')) return reject(new Error("the page did not load"));
      if (reloads > 0) attempt.wire("request", frame.src);
      reloads += 1;
      attempt.wire("head", null);
      attempt.wire("body", frame.contentWindow.performance.getEntriesByType("navigation")[0].encodedBodySize);
      attempt.live();
      if (page.querySelector(".gap")) attempt.take({ gap: true });
      for (const item of page.querySelectorAll("li")) {
        const [topic, data] = [item.querySelector("b"), item.querySelector("pre")].map((element) => element.textContent);
        attempt.take({ id: item.id, topic, data });
      }
      return attempt.expect(everyS * 1000 + attempt.options.answerMs);
    };
    attempt.signal.addEventListener("abort", () => frame.remove());
    frame.src = attempt.address("page", { every: everyS });
    (container ?? document.body).append(frame);
  });
}

/** Polls at intervals. There is no pause while the server has more messages than fit into an answer. */
async function shortPolls(attempt, poll) {
  const { everyS = EVERY_S, answerMs } = attempt.options;
  for (;;) {
    attempt.expect(answerMs);
    const answer = await poll();
    attempt.takeAnswer(answer);
    attempt.expect(everyS * 1000 + answerMs);
    if (!answer.more) await sleep(everyS * 1000, attempt.signal);
    attempt.signal.throwIfAborted();
  }
}

/** An empty answer is a 304 and costs its head only. */
async function pollWithEtag(attempt) {
  const response = await attempt.request("poll", {}, { "If-None-Match": `"${attempt.cursor}"` });
  if (response.status === 304) return { last: attempt.cursor };
  const text = await response.text();
  attempt.wire("body", text);
  return JSON.parse(text);
}

/** One endless response of parts. Each part has a Content-Length, and is followed by a boundary. */
async function readParts(attempt) {
  let held = new Uint8Array();
  for await (const bytes of attempt.body("multipart", { format: "json" })) {
    held = concat(held, bytes);
    for (let part = readPart(held); part; part = readPart(held)) {
      held = held.subarray(part.end);
      attempt.take(JSON.parse(decoder.decode(part.body)));
    }
  }
}

function concat(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** The first complete part: its body, and the offset of the next part. `null` if it is not complete. */
function readPart(bytes) {
  // An empty line ends the head. Only there are two LFs two bytes apart: LF CR LF.
  const isEmptyLine = (byte, at) => byte === 10 && bytes[at - 2] === 10;
  const at = bytes.findIndex(isEmptyLine) + 1;
  if (at === 0) return null;
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, at));
  const end = at + Number(/^content-length: (\d+)/im.exec(head)[1]);
  // After the body follow a line end, the next boundary and a line end.
  const next = bytes.indexOf(10, end + 2) + 1;
  if (next === 0) return null;
  const body = bytes.subarray(at, end);
  // A payload that contains the boundary is sent as base64.
  const isEncoded = /^content-transfer-encoding: base64/im.test(head);
  return { body: isEncoded ? Uint8Array.from(atob(decoder.decode(body)), (c) => c.charCodeAt(0)) : body, end: next };
}

const works = () => true;

Object.assign(techniques, {
  page: { title: "Meta refresh", held: 0, works, run: readPage },
  poll: { title: "Short polling", held: 0, sendsFields: true, works, run: (attempt) => shortPolls(attempt, () => pollWithEtag(attempt)) },
  jsonp: { title: "JSONP polling", held: 0, works, run: (attempt) => shortPolls(attempt, () => pollByScript(attempt, "poll")) },
  multipart: { title: "Multipart stream", held: 1, sendsFields: true, works, run: readParts },
});
