// The comparison: one table and one chart of all techniques.

import { Chart } from "./chart.js";
import { GROUPS } from "./facts.js";
import { count, duration, share, size } from "./figures.js";

const COLUMNS = ["p50", "p99", "requests", "bytes", "lost"];

export class Comparison {
  #rows = new Map();
  #chart;
  #feeds;

  constructor(feeds) {
    this.#feeds = feeds;
    this.#chart = new Chart(document.getElementById("chart"), feeds);
    const body = document.querySelector("#table tbody");
    feeds.forEach((feed, index) => {
      const row = body.insertRow();
      Object.assign(row.dataset, { row: feed.key, group: feed.fact.group });
      const head = document.createElement("th");
      head.scope = "row";
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.textContent = GROUPS[feed.fact.group].mark;
      mark.setAttribute("aria-hidden", "true");
      head.append(`${index + 1} `, mark, ` ${feed.technique.title}`);
      row.append(head);
      const cells = { since: row.insertCell(), state: row.insertCell() };
      cells.since.textContent = feed.fact.since;
      cells.since.className = "since";
      cells.state.className = "state";
      for (const name of COLUMNS) cells[name] = row.insertCell();
      for (const name of COLUMNS) cells[name].dataset.cell = name;
      this.#rows.set(feed.key, { row, cells });
    });
  }

  render(payloadBytes) {
    const figures = this.#feeds.map((feed) => {
      const read = feed.figures.read();
      const { row, cells } = this.#rows.get(feed.key);
      const state = feed.shownState;
      row.dataset.state = state;
      const texts = {
        state: state === "behind" ? `${count(feed.behind)} behind` : state === "live" && !feed.isOwn && feed.isShared ? "joined" : state,
        p50: duration(read.p50),
        p99: duration(read.p99),
        requests: share(read.requestsPerMessage),
        bytes: size(read.bytesPerMessage),
        lost: count(feed.lost + feed.twice),
      };
      for (const [name, text] of Object.entries(texts)) if (cells[name].textContent !== text) cells[name].textContent = text;
      return { key: feed.key, isShown: state === "live", ...read };
    });
    this.#chart.render(figures, payloadBytes);
  }
}
