// Types of pushlab.js, and the explanation of its options.

/** The techniques of this module. A program may add others to `techniques`. */
export type TechniqueName = "ws" | "events" | "eventsource" | "stream" | "xhr" | "long-poll" | "script-poll" | "iframe";

/** A message of a topic. */
export interface Message {
  /** `epoch-number`. Give it to `after` to continue behind this message. */
  id: string;
  topic: string;
  /** The payload: text, or base64 if `encoding` says so. */
  data: string;
  encoding?: "base64";
  /** The name that the publisher gave to the event. */
  event?: string;
}

/**
 * - `connecting`: a connection is being made.
 * - `live`: messages arrive.
 * - `down`: the last attempt has ended; `pauseMs` later follows the next one.
 * - `paused`: as `down`, while the browser says that it is offline. `online` ends the pause at once.
 * - `closed`: `close()` was called. It is the last state.
 */
export type State = "connecting" | "live" | "down" | "paused" | "closed";

export interface StateDetail {
  /** The technique in use. For a shared stream, the technique of the leading tab once it is known. */
  technique: string;
  /** With `down` and `paused`: why the attempt has ended. If the server has said it, its sentence. */
  reason?: string;
  /** With `down`: the status with which the server refuses requests. Another technique would not help. */
  status?: number;
  /** With `down` and `paused`: the milliseconds until the next attempt. */
  pauseMs?: number;
  /** With `connecting`: the technique that was given up before this one, and why. */
  fell?: { technique: string; reason: string };
}

/** The last word of a server that ends a connection on purpose. */
export interface End {
  /** A close code of RFC 6455, section 7.4, or one of the server's own. */
  code: number;
  sentence: string;
}

export interface Options {
  /** The name of a topic, or a list of names. */
  topics: string | readonly string[];
  /**
   * `"auto"` takes the first of these that works and gets through: WebSocket, server-sent events, a
   * stream by fetch (by XHR where fetch cannot stream), long polling, long polling by script
   * elements, a hidden frame. A name allows this technique only, and a list is an order of your own.
   * The default is `"auto"`.
   */
  technique?: "auto" | TechniqueName | (string & {}) | readonly (TechniqueName | (string & {}))[];
  /** The cursor to continue from: an id, or `"earliest"` for all messages that the server has kept. By default, only new messages. */
  after?: string | null;
  /**
   * Header fields of each request. Only techniques by fetch and XHR can send them. `"auto"` leaves the others out.
   * A page of another origin needs `Access-Control-Allow-Headers` for them.
   */
  headers?: Record<string, string>;
  /**
   * A bearer token, or a function that returns one for each connection. It is sent as `Authorization:
   * Bearer`, and by WebSocket, EventSource, script elements and frames, which cannot send the field,
   * as the query parameter `access_token` (RFC 6750, section 2.3). Queries stand in logs: use tokens
   * that last for minutes.
   */
  token?: string | (() => string | Promise<string>);
  /** As for fetch; `"include"` also for EventSource and XHR. */
  credentials?: RequestCredentials;
  /**
   * All tabs of this origin with the same `url`, `technique`, `headers`, `token`, `credentials`,
   * `presence` and `share` share one stream. Text makes a group of its own: give the user's name if
   * `token` is a function (with `true`, nothing is shared then). Needs Web Locks and BroadcastChannel,
   * which browsers have on https and localhost. Elsewhere each tab has its own stream.
   */
  share?: boolean | string;
  /** The most topics of a shared stream. A tab whose topics have no room has its own stream. The default is the server's, 32. */
  topicsMax?: number;
  /** A name that keeps this client online between two polls. See `token()`. */
  client?: string;
  /** Also subscribe to who joins and leaves: to `TOPIC.presence` of each topic. */
  presence?: boolean;
  /** The WebSocket to use, for an environment that has none, such as the one of the package `ws`. */
  WebSocket?: unknown;
  /** Milliseconds until an attempt has failed that got no answer. The default is 4,000. */
  answerMs?: number;
  /** Milliseconds between two heartbeats of the server. A stream that is silent for two is cut. The default is 25,000, as the server's. */
  heartbeatMs?: number;
  /** The first and the longest back-off, in milliseconds. A pause is a random part of it. The default is 500 and 15,000. */
  retryMs?: readonly [number, number];
  /** Milliseconds until a better technique is tried again, doubled each time. The default is 30,000. */
  climbMs?: number;
  /** Gets each message, once and in order. */
  onmessage?: (message: Message) => void;
  /** Messages are missing: the server has forgotten them, or was restarted. Later messages follow. `from` is the cursor behind the gap, if known. */
  ongap?: (from: string | null) => void;
  onstate?: (state: State, detail: StateDetail) => void;
  /** The server ends the connection on purpose. The client comes back after a pause, unless this hook closes it. */
  onend?: (end: End) => void;
  /**
   * For tools that show or count what goes over the wire: `"request"` with the address, `"head"` with
   * the response (`null` if scripts cannot see it), `"body"` with bytes, text or a number of bytes.
   */
  onwire?: (kind: "request" | "head" | "body", value: string | Response | Uint8Array | number | null, attempt: Attempt) => void;
  /** Options of techniques that a program has added. */
  [option: string]: unknown;
}

export interface Subscription {
  readonly state: State;
  /** The id of the last message, or the place where the subscription began. `null` before the first answer. */
  readonly cursor: string | null;
  readonly technique: string;
  /** Ends the connection or the pause, and connects again at once. */
  reconnect(): void;
  /** Ends the subscription. No hook is called afterwards, except for `onstate` with `closed`. */
  close(): void;
}

/**
 * Subscribes to topics of the hub at `url`, for example `"/topics"`. Outside of a page, the address
 * must be absolute. A function returns the address for each connection, so that a client can change
 * the server. Throws a `TypeError` if the options cannot work.
 */
export function subscribe(url: string | (() => string), options: Options): Subscription;

/** One attempt of a technique. The technique calls these methods. */
export interface Attempt {
  readonly name: string;
  readonly options: Options & { answerMs: number; heartbeatMs: number };
  readonly cursor: string | null;
  /** Aborts when the attempt is over. The technique then closes everything. */
  readonly signal: AbortSignal;
  /** The header fields of `headers` and `token`. */
  readonly headers: Record<string, string>;
  /** The address of an endpoint with the cursor. Notes a request for it. */
  address(endpoint: string, parameters?: Record<string, unknown>): string;
  request(endpoint: string, parameters?: Record<string, unknown>, fields?: Record<string, string>): Promise<Response>;
  /** Requests, and yields the pieces of the body. */
  body(endpoint: string, parameters?: Record<string, unknown>): AsyncGenerator<Uint8Array>;
  /** The server has answered. */
  live(): void;
  take(envelope: object): void;
  takeAnswer(answer: object): void;
  /** Ends the attempt if nothing is heard for this time. */
  expect(limitMs: number): void;
  wire(kind: "request" | "head" | "body", value: unknown): void;
}

export interface Technique {
  title: string;
  /** The HTTP connections that it occupies all the time. A browser has six for a host. */
  held: number;
  /** Whether its requests carry header fields. Otherwise the token goes into the query. */
  sendsFields?: boolean;
  /** Scripts cannot see the server's heartbeats. After two of them, a poll asks whether messages are missing. */
  isSilent?: boolean;
  /** Whether this environment has what it needs. */
  works(options: { WebSocket?: unknown; base?: string }): boolean;
  /** Returns or rejects when the connection ends. It never reconnects. */
  run(attempt: Attempt): Promise<unknown>;
}

export const techniques: Record<string, Technique>;

/** Polls by a script element, for techniques that a program adds. */
export function pollByScript(attempt: Attempt, endpoint: string, parameters?: Record<string, unknown>): Promise<object>;

/** Waits. It ends earlier, without an error, when the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void>;

/** A random name with this prefix. The default is `web`. */
export function token(prefix?: string): string;

/** Whether an id is newer than a cursor. An id of another epoch is. */
export function isAfter(id: string, cursor: string | null): boolean;

/** Cuts a stream of UTF-8 bytes, or of text, into lines. */
export class Lines {
  push(bytes: Uint8Array | string): string[];
}

/** Parses `text/event-stream` (WHATWG HTML, section 9.2.6). */
export class EventParser {
  readonly retryMs: number | undefined;
  push(bytes: Uint8Array | string): { type: string; data: string; lastEventId: string }[];
}
