// The account: which messages this page has published, and what each client has received of them.
//
// Owns the rules by which a message is on its way, missing, or received twice. Leaves connections to
// clients.js, and the page to app.js.

/** An id is `EPOCH-SEQUENCE`. The sequence numbers of one epoch are in the order of publishing. */
function parseId(id) {
  const [epoch, sequence] = id.split("-");
  return { epoch, sequence: Number(sequence) };
}

const isBefore = (a, b) => a.epoch === b.epoch && a.sequence < b.sequence;

const REMEMBERED = 20_000; // messages that a client remembers, to recognise one that comes twice
const GAPS_REMEMBERED = 100;

/** What this page has published. A message has a number, 1 for the first. */
export class Ledger {
  sent = 0;
  confirmed = 0;
  unconfirmed = 0; // the answer was an error, or there was none: nobody knows whether it is published
  waiting = 0;
  #receipts = new Set();

  add(receipt) {
    this.#receipts.add(receipt);
  }

  send() {
    this.sent += 1;
    this.waiting += 1;
    return this.sent;
  }

  confirm(number, id) {
    this.waiting -= 1;
    this.confirmed += 1;
    for (const receipt of this.#receipts) receipt.expect(number, id);
  }

  fail() {
    this.waiting -= 1;
    this.unconfirmed += 1;
  }
}

/**
 * What one client has received. Every confirmed message must arrive. One is missing as soon as a
 * message has arrived that was published after it. It counts as told if the server has told of a gap
 * after it was sent.
 */
export class Receipt {
  received = 0; // all messages of the topic, those of other pages, too
  arrived = 0; // confirmed messages
  missing = 0;
  told = 0;
  gaps = 0;
  twice = 0;
  disordered = 0;
  #ledger;
  #last = null;
  #seen = new Set(); // numbers of this page's messages, and ids of others
  #expected = new Map(); // by number: messages that are confirmed and not here
  #gapsAt = []; // how many messages had been sent at each gap

  constructor(ledger) {
    this.#ledger = ledger;
    ledger.add(this);
  }

  get onTheirWay() {
    return this.#expected.size;
  }

  /** The server has confirmed this message to its publisher. */
  expect(number, text) {
    if (this.#seen.has(number)) return void (this.arrived += 1);
    const id = parseId(text);
    // With another epoch, the ids do not tell which message is older. But whatever is sent from now on
    // is published after this message.
    if (this.#last !== null && isBefore(id, this.#last)) this.#lose(number);
    else this.#expected.set(number, { id, sentBefore: this.#ledger.sent });
  }

  /** A message has arrived. `number` is `null` for a message that this page has not published. */
  take(text, number) {
    const id = parseId(text);
    const key = number ?? text;
    if (this.#seen.has(key)) return void (this.twice += 1);
    if (this.#last !== null && isBefore(id, this.#last)) this.disordered += 1;
    else this.#last = id;
    this.received += 1;
    this.#remember(key);
    if (this.#expected.delete(number)) this.arrived += 1;
    for (const [other, { id: expected, sentBefore }] of this.#expected) {
      if (isBefore(expected, id) || (number !== null && number > sentBefore)) {
        this.#expected.delete(other);
        this.#lose(other);
      }
    }
  }

  /** The server has told that messages are missing before the next one. */
  gap() {
    this.gaps += 1;
    this.#gapsAt.push(this.#ledger.sent);
    if (this.#gapsAt.length > GAPS_REMEMBERED) this.#gapsAt.shift();
  }

  #lose(number) {
    if (this.#gapsAt.some((sent) => sent >= number)) this.told += 1;
    else this.missing += 1;
  }

  #remember(key) {
    this.#seen.add(key);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value);
  }
}
