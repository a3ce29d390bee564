// What this page says about each technique. The sources that it names say where the facts come from.

export const EVERY_S = 2; // between two short polls, and between two reloads

/** The groups of techniques, each with its mark in the table, the chart and the panels. */
export const GROUPS = {
  asks: { mark: "■", words: "asks again and again" },
  held: { mark: "◆", words: "the server holds one request" },
  streams: { mark: "●", words: "one answer has no end" },
  "both-ways": { mark: "▲", words: "both sides speak" },
};

/**
 * From pulling to pushing. `key` is the technique's name in pushlab.js, and `path` the endpoint behind
 * the topics. `quiet` says why scripts see no heartbeat.
 */
export const FACTS = [
  {
    key: "page",
    group: "asks",
    since: "1995",
    what: `The page tells the browser to load it again after ${EVERY_S} s (Netscape, 1995). It needs no script, but sends the whole page each time, even if nothing is new.`,
    choose: "Choose it where scripts may not run.",
    path: `page?every=${EVERY_S}`,
    source: "meta_refresh.rs",
  },
  {
    key: "poll",
    group: "asks",
    since: "1999",
    what: `A script asks every ${EVERY_S} s (XMLHttpRequest, 1999), and the server answers at once. If nothing is new, the answer is a head alone: 304 (RFC 9110).`,
    choose: "Choose it where data is rare and may be late.",
    path: "poll?after=earliest",
    source: "short_poll.rs",
  },
  {
    key: "jsonp",
    group: "asks",
    since: "2005",
    what: "A script element loads the answer, which calls a function of the page (2005). It works across sites without CORS, but the page runs whatever comes.",
    choose: "Choose it only for browsers without CORS.",
    path: "poll?callback=f&after=earliest",
    source: "jsonp.rs",
  },
  {
    key: "long-poll",
    group: "held",
    since: "about 2000",
    what: "The client asks, and the server holds the request until it has a message, or for 25 s (RFC 6202, 2011). Each answer costs a new request.",
    choose: "Choose it where no stream gets through.",
    path: "long-poll?wait=25",
    source: "long_poll.rs",
  },
  {
    key: "script-poll",
    group: "held",
    since: "2005",
    what: "As long polling, but a script element sends the request, as in JSONP (2005). WeChat’s web login waited like this until its code was scanned.",
    choose: "Choose it only for browsers without CORS.",
    path: "long-poll?wait=25&callback=f",
    source: "jsonp.rs",
  },
  {
    key: "iframe",
    group: "streams",
    since: "2000",
    what: "A hidden frame loads a page without end, and each message is a script in it (Pushlets, 2000). The browser keeps all, so the page at times begins again.",
    choose: "Choose it for browsers older than XHR.",
    path: "iframe?callback=f",
    source: "iframe.rs",
    quiet: "scripts see no heartbeat here",
  },
  {
    key: "stream",
    group: "streams",
    since: "2015",
    what: "A script reads an answer while it still arrives, one message in each line (RFC 6202). XHR kept all that it had read; fetch, since 2015, does not.",
    choose: "Choose it for programs that read lines.",
    path: "stream",
    source: "stream.rs",
  },
  {
    key: "multipart",
    group: "streams",
    since: "1995",
    what: "Each part of an answer without end replaces the part before it (Netscape, 1995). Cameras show pictures like this; here a script reads the parts.",
    choose: "Choose it for pictures, and not for data.",
    path: "multipart?format=json",
    source: "multipart.rs",
  },
  {
    key: "events",
    group: "streams",
    since: "2006",
    what: "The browser reads an answer without end, and reconnects with the last id by itself (Opera, 2006; WHATWG HTML). Here a script does both.",
    choose: "Choose it for text that the server sends.",
    path: "events?format=json",
    source: "sse.rs",
  },
  {
    key: "ws",
    group: "both-ways",
    since: "2011",
    what: "One HTTP request turns the connection into a channel for both sides (RFC 6455, 2011). A message costs 2 to 10 bytes more; the client must reconnect.",
    choose: "Choose it where both sides send often.",
    path: "ws",
    source: "websocket.rs",
    quiet: "scripts see no ping",
  },
];

/** A command that does the same as a panel. A shell of any kind takes it. */
export function curlOf({ key, path }, origin) {
  const upgrade = "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' --output - ";
  return `curl -N ${key === "ws" ? upgrade : ""}'${origin}${pathOf(path)}'`;
}

export const pathOf = (path) => `/topics/feed,notes/${path}`;
