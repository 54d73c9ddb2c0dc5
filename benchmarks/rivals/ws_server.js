// node's ws as a rival: `node ws_server.js TOPICS FILE`; one `send` of a prebuilt buffer a delivery.
//
// FILE has a template for each topic, one a line, with `<ts>`, `<price>` and `<sequence>` where these go: what
// source.py makes, so that all servers send the same. It publishes by the same lines of standard input.
"use strict";

const fs = require("fs");
const http = require("http");
const readline = require("readline");
const { WebSocketServer } = require("ws");

const templates = fs.readFileSync(process.argv[3], "utf8").trimEnd().split("\n");
const names = templates.map((template) => JSON.parse(template).topic);
const topics = new Map(names.map((name) => [name, new Set()]));
const readers = names.map((name) => topics.get(name));
const sequences = names.map(() => 0);
const plain = { binary: false, compress: false };

const server = http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false, skipUTF8Validation: true });
sockets.on("connection", (socket) => {
  socket._socket.setNoDelay(true);
  socket.on("message", (message) => {
    for (const name of JSON.parse(message).args) topics.get(name).add(socket);
    socket.send('{"success":true,"op":"subscribe"}');
  });
  socket.on("close", () => readers.forEach((set) => set.delete(socket)));
  socket.on("error", () => {});
});

// A Number has no room for nanoseconds: milliseconds with a fraction, and the rest is text.
const epochMs = () => performance.timeOrigin + performance.now();
const nanoseconds = (ms) => `${Math.floor(ms)}${String(Math.floor((ms % 1) * 1e6)).padStart(6, "0")}`;

function payload(topic, intended) {
  const sequence = ++sequences[topic];
  let price = (sequence * 7919) % 10000;
  return Buffer.from(
    templates[topic]
      .replace("<ts>", nanoseconds(intended).padStart(19, "0"))
      .replace(/<price>/g, () => String(price++ % 10000).padStart(4, "0"))
      .replace("<sequence>", String(sequence).padStart(8, "0")),
  );
}

async function publish(rate, together, seconds) {
  const turns = Math.round(rate * seconds);
  const start = epochMs() + 20;
  let topic = 0;
  for (let number = 0; number < turns; ) {
    const now = epochMs();
    for (let due; number < turns && (due = start + (number * 1000) / rate) <= now; number++) {
      for (let index = 0; index < together; index++) {
        const data = payload(topic, due);
        for (const reader of readers[topic]) reader.send(data, plain);
        topic = (topic + 1) % names.length;
      }
    }
    await new Promise((done) => setTimeout(done, Math.max(1, start + (number * 1000) / rate - epochMs())));
  }
  console.log(turns * together);
}

server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => publish(...line.split(" ").slice(1).map(Number)));
  lines.on("close", () => process.exit(0));
});
