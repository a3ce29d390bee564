// Tests of the client's parsers: the rules of WHATWG HTML, section 9.2.6, with the input cut at
// every byte, and in three pieces at every pair of bytes.

import assert from "node:assert/strict";
import { EventParser, Lines, isAfter } from "./files/pushlab.js";

const encoder = new TextEncoder();

/** Every way to cut bytes into one, two or three pieces, and into single bytes. */
function* splits(bytes) {
  yield [bytes];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      yield [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
    }
  }
}

function parses(title, text, expected) {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  for (const pieces of splits(bytes)) {
    const parser = new EventParser();
    const events = pieces.flatMap((piece) => parser.push(piece));
    assert.deepEqual(events.map(({ type, data, lastEventId }) => [type, data, lastEventId]), expected, `${title}, in pieces of ${pieces.map(({ length }) => length)}`);
  }
}

const message = (data, id = "") => ["message", data, id];

parses("line ends LF", "data: a\ndata: b\n\ndata: c\n\n", [message("a\nb"), message("c")]);
parses("line ends CR", "data: a\rdata: b\r\rdata: c\r\r", [message("a\nb"), message("c")]);
parses("line ends CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [message("a\nb"), message("c")]);
parses("mixed line ends", "data: a\r\n\rdata: b\n\r\ndata: c\r\r\n", [message("a"), message("b"), message("c")]);
parses("a byte order mark at the beginning only", "\uFEFFdata: a\n\n\uFEFFdata: b\n\n", [message("a")]);
parses("one space after the colon", "data:a\ndata: b\ndata:  c\n\n", [message("a\nb\n c")]);
parses("a field without a colon, and an empty one", "data\n\ndata:\n\ndata\ndata\n\n", [message(""), message(""), message("\n")]);
parses("comments", ":\n\n: data: a\n:data: b\ndata: c\n\n:\n\n", [message("c")]);
parses("no data, no event", "event: x\n\nid: 1\n\ndata: a\n\n", [message("a", "1")]);
parses("a type lasts for one event", "event: x\ndata: a\n\ndata: b\n\n", [["x", "a", ""], message("b")]);
parses("an empty type", "event: x\nevent:\ndata: a\n\n", [message("a")]);
parses("an id lasts", "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [message("a", "1"), message("b", "1"), message("c")]);
parses("an id with NUL is ignored", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [message("a", "1"), message("b", "1")]);
parses("unknown fields, and names that only look alike", "Data: x\n data: x\ndata : x\ndat: x\ndata: a\n\n", [message("a")]);
parses("colons in a value", "data: a: b\ndata:: c\n\n", [message("a: b\n: c")]);
parses("an unfinished event at the end", "data: a\n\ndata: b\n", [message("a")]);
parses("an unfinished line at the end", "data: a\n\ndata: b", [message("a")]);
parses("characters of two, three and four bytes", "data: \u00e9\u20ac\u{1F600}\u2028\n\n", [message("\u00e9\u20ac\u{1F600}\u2028")]);
parses("bytes that are no UTF-8", new Uint8Array([...encoder.encode("data: a"), 0xff, ...encoder.encode("b\n\n")]), [message("a\uFFFDb")]);

for (const [text, expected] of [["retry: 20\n\n", 20], ["retry: 2x\n\n", undefined], ["retry:\n\n", undefined], ["retry: 1\nretry: 30\n", 30], ["retry: -1\n", undefined]]) {
  for (const pieces of splits(encoder.encode(text))) {
    const parser = new EventParser();
    for (const piece of pieces) parser.push(piece);
    assert.equal(parser.retryMs, expected, JSON.stringify(text));
  }
}

const lines = new Lines();
assert.deepEqual(["", "a\r", "", "\nb", "c\n", "\n"].flatMap((text) => lines.push(text)), ["a", "bc", ""], "lines of text");

for (const [id, cursor, expected] of [
  ["a-2", "a-1", true], ["a-1", "a-1", false], ["a-1", "a-2", false], ["a-10", "a-9", true], ["a-9", "a-10", false],
  ["b-1", "a-9", true], ["a-1", null, true], ["a-1", "earliest", true], ["a-b-1", "a-c-1", true], ["a-b-2", "a-b-3", false],
]) assert.equal(isAfter(id, cursor), expected, `${id} after ${cursor}`);

console.log("client, parsers: ok");
