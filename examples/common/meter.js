// The requests and the bytes of a subscription: its hook `onwire` is a meter's `onwire`.
//
// Owns the count. Request heads do not count: scripts cannot see them. TCP and IP do not count.

const encoder = new TextEncoder();

export const bytesOf = (text) => encoder.encode(text).length;

/** The size of a response head, computed from the fields that the browser shows to scripts. */
export function headBytes(response) {
  let bytes = bytesOf(`HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`);
  for (const [name, value] of response.headers) bytes += bytesOf(`${name}: ${value}\r\n`);
  return bytes;
}

/** The size of a 101 head with the three fields of RFC 6455, section 4.2.2, and `Date`. */
const SWITCHING_BYTES = 166;

/** A chunk is `size CRLF data CRLF`, with the size in hexadecimal (RFC 9112, section 7.1). */
const chunkBytes = (payload) => payload + payload.toString(16).length + 4;

/**
 * A frame head has 2 bytes; 4 from 126 bytes of payload on; 10 from 64 KiB on. A server sends no
 * mask (RFC 6455, section 5.2).
 */
const frameBytes = (payload) => payload + (payload < 126 ? 2 : payload < 65536 ? 4 : 10);

const STREAMS = new Set(["events", "eventsource", "stream", "xhr", "multipart", "iframe"]);

export class Meter {
  requests = 0;
  downBytes = 0;
  #heads = new Map(); // by technique, the size of a head that scripts cannot see
  #url = null; // of the last request

  onwire = (kind, value, { name }) => {
    if (kind === "request") {
      this.requests += 1;
      this.#url = value;
    } else if (kind === "body") {
      const bytes = typeof value === "number" ? value : typeof value === "string" ? bytesOf(value) : value.length;
      this.downBytes += name === "ws" ? frameBytes(bytes) : STREAMS.has(name) ? chunkBytes(bytes) : bytes;
    } else if (value !== null) this.downBytes += headBytes(value);
    else if (name === "ws") this.downBytes += SWITCHING_BYTES;
    else this.#addHead(name, this.#url);
  };

  /** A frame, a script element or an EventSource hides its heads. One HEAD request tells their size. */
  async #addHead(name, address) {
    if (!this.#heads.has(name)) {
      const url = new URL(address, location.href);
      url.searchParams.delete("client");
      this.#heads.set(name, fetch(url, { method: "HEAD", cache: "no-store" }).then(headBytes, () => 0));
    }
    const bytes = await this.#heads.get(name);
    this.downBytes += bytes; // `+= await` would forget what was counted meanwhile
  }
}
