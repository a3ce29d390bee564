// A proxy that compresses, as many Node.js servers do: Express with `compression`, in front of a server.
//
// `express.mjs SERVER_PORT PORT PORT_WITHOUT` listens on two ports. On the second one it takes
// `Cache-Control` away, as if the server had not asked for `no-transform`.
import compression from "compression";
import express from "express";
import http from "node:http";

const [serverPort, ...ports] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });
for (const [at, port] of ports.entries()) {
    const app = express();
    app.disable("x-powered-by");
    app.use(compression({ threshold: 0 }));
    app.use((request, response) => {
        const { method, url: path } = request;
        // These fields are about this connection alone (RFC 9110, section 7.6.1).
        const { connection, upgrade, ...headers } = request.headers;
        const upstream = http.request({ host: "127.0.0.1", port: serverPort, method, path, headers, agent }, (answer) => {
            if (at === 1) delete answer.headers["cache-control"];
            response.writeHead(answer.statusCode, answer.headers);
            response.flushHeaders();
            answer.pipe(response);
        });
        upstream.on("error", () => response.destroy());
        // A client that leaves takes its request to the server with it.
        response.on("close", () => upstream.destroy());
        request.pipe(upstream);
    });
    app.listen(port, "127.0.0.1");
}
