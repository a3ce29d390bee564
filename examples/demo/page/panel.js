// The panel of one technique: what it is, what goes over the wire now, and when to choose it.
//
// Owns the panel's elements. Leaves the account to feed.js, and what the buttons do to app.js.

import { curlOf, GROUPS, pathOf } from "./facts.js";
import { count, duration, share, size } from "./figures.js";
import { clock } from "./wire.js";

const COPIED_MS = 2000;
const NOTE_MS = 10_000; // that a note is shown

export class Panel {
  #find;

  /** `act` has the functions `cut`, `toggle` and `enlarge`, which get the key of the technique. */
  constructor(feed, act) {
    const { fact, technique, key } = feed;
    this.feed = feed;
    this.element = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.#find = (selector) => this.element.querySelector(selector);
    Object.assign(this.element.dataset, { key, group: fact.group });
    const title = this.#find("h3");
    title.id = `title-${key}`;
    title.textContent = technique.title;
    this.element.setAttribute("aria-labelledby", title.id);
    const texts = { mark: GROUPS[fact.group].mark, since: `since ${fact.since}`, what: fact.what, choose: fact.choose, path: pathOf(fact.path) };
    for (const [name, text] of Object.entries(texts)) this.#find(`.${name}`).textContent = text;
    this.#find(".quiet").textContent = fact.quiet ?? "";
    this.#find("svg").setAttribute("aria-label", `Timing diagram of ${technique.title}`);
    this.#find(".source").href = `/source/${fact.source}`;
    this.#find(".source").append(this.#hidden(` of ${technique.title}: ${fact.source}`));
    for (const name of ["cut", "toggle", "enlarge"]) this.#find(`.${name}`).onclick = () => act[name](key);
    this.#find(".cut").append(this.#hidden(` the connection of ${technique.title}`));
    this.#find(".copy").append(this.#hidden(` for ${technique.title}`));
    this.#find(".copy").onclick = () => this.#copy(curlOf(fact, location.origin));
    this.isLarge = false;
  }

  get container() {
    return this.#find(".frame");
  }

  set isLarge(isLarge) {
    this.element.classList.toggle("large", isLarge);
    this.#label(".enlarge", isLarge ? "Show all ten" : "Enlarge", isLarge ? "" : ` ${this.feed.technique.title}`);
  }

  /** Words that only a screen reader speaks. They make the names of buttons distinct. */
  #hidden(text) {
    const element = document.createElement("span");
    element.className = "spoken";
    element.textContent = text;
    return element;
  }

  #label(selector, text, more) {
    const button = this.#find(selector);
    if (button.textContent === text + more) return;
    button.textContent = text;
    if (more) button.append(this.#hidden(more));
  }

  #write(selector, text) {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }

  async #copy(command) {
    const button = this.#find(".copy");
    try {
      await navigator.clipboard.writeText(command);
    } catch {
      // Browsers give the clipboard only to pages from this machine or by HTTPS.
      const field = document.createElement("textarea");
      field.value = command;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus();
    }
    button.classList.add("is-done");
    this.#write(".told", "The command is copied.");
    setTimeout(() => (button.classList.remove("is-done"), this.#write(".told", "")), COPIED_MS);
  }

  /** Shows the feed as it is now. `seconds` is the time that the diagram shows. */
  render(seconds) {
    const { feed } = this;
    const { shownState: state, behind, figures, technique } = feed;
    this.element.dataset.state = state;
    // The number is outside of the element that screen readers speak: it changes all the time.
    this.#write(".words", state === "behind" ? "catching up" : feed.words);
    this.#write(".behind", behind > 0 ? `, ${count(behind)} behind` : "");
    // A disabled button would lose the focus.
    this.#find(".cut").setAttribute("aria-disabled", feed.state !== "live");
    this.#label(".toggle", feed.isOpen ? "Close" : "Open", ` ${technique.title}`);
    feed.timeline.draw(this.#find("svg"), clock(), seconds);
    this.#write(".span", `${seconds} s ago`);
    const { p50, p99, requestsPerMessage, bytesPerMessage } = figures.read();
    const texts = {
      messages: count(feed.messages),
      lost: count(feed.lost + feed.twice),
      gaps: count(feed.gaps),
      p50: duration(p50),
      p99: duration(p99),
      requests: share(requestsPerMessage),
      bytes: size(bytesPerMessage),
    };
    for (const [name, text] of Object.entries(texts)) this.#write(`[data-is="${name}"]`, text);
    if (feed.last) this.#write(".quote", `${feed.last.name} ${feed.last.value.toFixed(2)}`);
    const note = feed.notes.at(-1);
    this.#write(".note", note?.text ?? "");
    // A note takes the place of the quote for a while.
    const isNew = note !== undefined && clock() - note.at < NOTE_MS;
    this.#find(".note").hidden = !isNew;
    this.#find(".quote").hidden = isNew;
  }
}
