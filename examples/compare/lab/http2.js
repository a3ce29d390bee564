// An HTTP/2 client: opens streams over one connection, and then loads one page over it. Prints the
// page. Arguments: the server's URL, the path of the streams, their number, the page's path.
"use strict";
const http2 = require("node:http2");
const [url, stream, count, page] = process.argv.slice(1);
const client = http2.connect(url);
client.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
const get = (path) => client.request({ ":path": path });
const open = (path) => new Promise((opened) => get(path).on("response", opened).on("data", () => {}));
Promise.all(Array.from({ length: Number(count) }, () => open(stream))).then(() => {
  let body = "";
  get(page)
    .setEncoding("utf8")
    .on("data", (text) => (body += text))
    .on("end", () => process.stdout.write(body, () => process.exit(0)));
});
