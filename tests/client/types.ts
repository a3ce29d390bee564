// The types must allow what the module can do, and refuse what it cannot. tests/client/run compiles
// this file and does not run it.

import { EventParser, isAfter, Lines, sleep, subscribe, techniques, token, type Message, type State, type Subscription } from "./files/pushlab.js";

const subscription: Subscription = subscribe("/topics", {
  topics: ["news", "quotes"],
  technique: ["ws", "events"],
  after: "earliest",
  headers: { "X-Tenant": "a" },
  token: async () => "secret",
  share: "Ada",
  onmessage: ({ id, topic, data, encoding }: Message) => console.log(isAfter(id, null), topic.length, data.length, encoding === "base64"),
  ongap: (from) => console.log(from?.length),
  onstate: (state: State, { technique, reason, status, pauseMs, fell }) => console.log(state, technique, reason, status, pauseMs, fell?.reason),
  onend: ({ code, sentence }) => console.log(code + 1, sentence.length),
  onwire: (kind, _value, attempt) => console.log(kind, attempt.name),
});
subscribe(() => "https://example.com/topics", { topics: "news", technique: "auto" });
subscription.reconnect();
subscription.close();
const cursor: string | null = subscription.cursor;
techniques["mine"] = { title: "Mine", held: 0, works: () => true, run: async (attempt) => attempt.take({ id: token(), topic: "x", data: "" }) };
console.log(cursor, new Lines().push("a\n"), new EventParser().push(new Uint8Array()), sleep(1));

// @ts-expect-error topics are required
subscribe("/topics", {});
// @ts-expect-error the cursor moves by messages only
subscription.cursor = "a-1";
// @ts-expect-error an unknown state
const state: State = "alive";
// @ts-expect-error a hook gets a message, not text
subscribe("/topics", { topics: "news", onmessage: (text: string) => console.log(text) });
console.log(state);
