// A proxy between a client and an example's server, which does what bad networks do.
//
// Owns the cutting, the silence, the refusals and the record of requests. It also serves the files of
// examples/client, so that a page has them from the same origin.

import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { PATIENCE } from "./support.mjs";

const FILES = new URL("./files/", import.meta.url); // tests/client/run copies them

export class Proxy {
  requests = []; // `{method, url, headers}` of each request, the newest last
  #sockets = new Set();
  #silent = new Set(); // connections that deliver nothing any more
  #asked = new Map(); // the address of the last request, by connection
  #held = new Map(); // the addresses of the requests without a complete answer, by connection
  #arrivals = new EventEmitter();
  #server;
  #port;
  #rule = () => undefined;

  static async start(port) {
    const proxy = new Proxy();
    proxy.#port = port;
    proxy.#server = http.createServer((request, response) => proxy.#serve(request, response));
    proxy.#server.on("upgrade", (request, socket, head) => proxy.#upgrade(request, socket, head));
    proxy.#server.on("connection", (socket) => {
      proxy.#sockets.add(socket);
      socket.on("close", () => (proxy.#sockets.delete(socket), proxy.#silent.delete(socket), proxy.#asked.delete(socket)));
      socket.on("error", () => {});
    });
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}/`;
    return proxy;
  }

  /** Ends all connections, as a restarted intermediary does. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Waits until a request with such an address is here and has no complete answer yet. The patience only ends a test that hangs. */
  async held(pattern) {
    const signal = AbortSignal.timeout(PATIENCE.timeout);
    while (![...this.#held.values()].some((url) => pattern.test(url))) await once(this.#arrivals, "request", { signal });
  }

  /** Nothing arrives any more on the connections whose last request has such an address, and nothing ends them. */
  silence(pattern = /./) {
    for (const [socket, url] of this.#asked) if (pattern.test(url)) this.#silent.add(socket);
  }

  /** `rule(request)` returns a status to refuse the request with, `"hold"` to never answer it, or nothing. */
  refuse(rule) {
    this.#rule = rule;
  }

  stop() {
    this.#server.close();
    this.cut();
  }

  #note({ method, url, headers, socket }) {
    this.#asked.set(socket, url);
    this.#held.set(socket, url);
    this.#arrivals.emit("request");
    this.requests.push({ method, url, headers });
    return this.#rule({ method, url, headers });
  }

  async #serve(request, response) {
    response.on("close", () => this.#held.delete(request.socket));
    const verdict = this.#note(request);
    if (verdict === "hold") return undefined;
    if (verdict) return response.writeHead(verdict, { "Content-Type": "text/plain" }).end("the proxy refuses this\n");
    const { pathname } = new URL(request.url, "http://proxy");
    if (pathname.startsWith("/files/")) {
      const type = pathname.endsWith(".js") ? "text/javascript" : "text/plain";
      return response.writeHead(200, { "Content-Type": type }).end(await readFile(new URL(`.${pathname.slice("/files".length)}`, FILES)));
    }
    const upstream = http.request({ port: this.#port, host: "127.0.0.1", method: request.method, path: request.url, headers: { ...request.headers, connection: "close" } });
    upstream.on("response", (answer) => {
      const { connection: _, "transfer-encoding": __, ...headers } = answer.headers;
      response.writeHead(answer.statusCode, headers);
      response.flushHeaders();
      answer.on("data", (bytes) => this.#silent.has(request.socket) || response.write(bytes));
      answer.on("end", () => this.#silent.has(request.socket) || response.end());
      answer.on("error", () => response.destroy());
    });
    upstream.on("error", () => response.destroy());
    response.on("close", () => upstream.destroy());
    return request.pipe(upstream);
  }

  #upgrade(request, socket, head) {
    const verdict = this.#note(request);
    if (verdict === "hold") return;
    if (verdict) {
      socket.end(`HTTP/1.1 ${verdict} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const upstream = net.connect(this.#port, "127.0.0.1");
    const fields = request.rawHeaders.flatMap((name, at, all) => (at % 2 === 0 ? [`${name}: ${all[at + 1]}\r\n`] : []));
    upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${fields.join("")}\r\n`);
    upstream.write(head);
    upstream.on("data", (bytes) => this.#silent.has(socket) || socket.write(bytes));
    upstream.on("close", () => this.#silent.has(socket) || socket.destroy());
    upstream.on("error", () => {});
    socket.on("close", () => upstream.destroy());
    socket.pipe(upstream);
  }
}
