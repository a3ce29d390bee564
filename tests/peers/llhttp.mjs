// Reads requests with the HTTP server of Node.js, at its defaults. A line of standard input has the
// bytes of one connection in base64. A line of standard output has the requests that the server
// read from them. The connections are streams in memory, which the server treats as sockets.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";

// Node.js must not refuse a head only for its size. The library's default limit is 16 KiB.
const server = createServer({ insecureHTTPParser: false, maxHeaderSize: 64 * 1024 });
server.maxHeadersCount = 0;

function answer(request, response) {
    const seen = { request, chunks: [] };
    request.socket.seen.push(seen);
    request.on("data", (chunk) => seen.chunks.push(chunk));
    request.on("error", () => {}); // `request.complete` stays false then
    request.on("end", () => response.end());
}
server.on("request", answer);
server.on("checkExpectation", answer); // an unknown expectation does not change where requests end
server.on("upgrade", (request, socket) => {
    // The bytes that follow belong to the new protocol. A request with a body is not counted: its
    // body would be among those bytes.
    if (!("content-length" in request.headers || "transfer-encoding" in request.headers)) socket.seen.push({ request, chunks: [] });
    socket.stopped = "upgrade";
    socket.destroy();
});
server.on("clientError", (error, socket) => {
    // The input may end in the middle of a request, which is no error here. The socket is destroyed
    // later: complete requests may still be on their way to the handler.
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
            // The server itself answers a request without Host with 400, without calling a handler.
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
