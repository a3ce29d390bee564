// What Node.js reads: a line of standard input is a connection's bytes in base64, a line of standard output is what its HTTP server,
// with its defaults, makes of them. The connections are streams in memory, which take the way of sockets through the server.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";

// A limit is no reading: as much head as the library takes.
const server = createServer({ insecureHTTPParser: false, maxHeaderSize: 64 * 1024 });
server.maxHeadersCount = 0;

function answer(request, response) {
    const seen = { request, chunks: [] };
    request.socket.seen.push(seen);
    request.on("data", (chunk) => seen.chunks.push(chunk));
    request.on("error", () => {}); // it is not complete then
    request.on("end", () => response.end());
}
server.on("request", answer);
server.on("checkExpectation", answer); // it is about fields, not about where requests end
server.on("upgrade", (request, socket) => {
    // The rest is for another protocol; a body would be a part of it.
    if (!("content-length" in request.headers || "transfer-encoding" in request.headers)) socket.seen.push({ request, chunks: [] });
    socket.stopped = "upgrade";
    socket.destroy();
});
server.on("clientError", (error, socket) => {
    // The end of file in the middle of a request is nobody's fault here. What was whole before is still on its way to the handler.
    if (error.code !== "HPE_INVALID_EOF_STATE") socket.stopped = error.code;
    setImmediate(() => socket.destroy());
});

const bytes = (text) => Buffer.from(text, "latin1").toString("base64");

function fields(raw) {
    const pairs = [];
    for (let at = 0; at < raw.length; at += 2) pairs.push([raw[at], bytes(raw[at + 1])]);
    return pairs;
}

function reading(socket) {
    const whole = socket.seen.filter(({ request }) => request.complete);
    const requests = whole.map(({ request, chunks }) => ({
        method: request.method,
        target: request.url,
        fields: fields(request.rawHeaders),
        body: Buffer.concat(chunks).toString("base64"),
    }));
    return { requests, stopped: socket.stopped };
}

function read(input) {
    return new Promise((resolve) => {
        let answered = "";
        const socket = new Duplex({
            read() {},
            write(chunk, _encoding, done) {
                answered += chunk.toString("latin1");
                done();
            },
        });
        socket.seen = [];
        socket.stopped = null;
        socket.on("error", () => {});
        socket.on("close", () => {
            // What has no Host the server answers by itself.
            if (socket.stopped === null) socket.stopped = /^HTTP\/1\.1 (4\d\d|5\d\d) /m.exec(answered)?.[1] ?? null;
            resolve(reading(socket));
        });
        server.emit("connection", socket);
        socket.push(input);
        socket.push(null);
    });
}

console.log(JSON.stringify({ name: `Node.js ${process.versions.node}, llhttp ${process.versions.llhttp}` }));
for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await read(Buffer.from(line, "base64"))));
}
