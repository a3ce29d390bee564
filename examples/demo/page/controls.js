// The sliders for the feed's pace, and the field for a message to all panels.

import { size } from "./figures.js";

const PATIENCE_MS = 4000; // for an answer
const PAUSE_MS = 150; // without a move of the slider, before the server is told

const $ = (id) => document.getElementById(id);

export function authorization() {
  const given = $("token").value.trim();
  return given ? { Authorization: `Bearer ${given}` } : {};
}

/** Publishes a text to all panels. Returns the message's id. */
export async function publish(text) {
  const headers = { "Content-Type": "text/plain; charset=utf-8", ...authorization() };
  const response = await fetch("/topics/notes", { method: "POST", body: text, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error((await response.text()).trim());
  return (await response.json()).id;
}

$("publish").onsubmit = async (event) => {
  event.preventDefault();
  try {
    $("published").textContent = `published as ${await publish($("note").value)}`;
    $("note").value = "";
  } catch (error) {
    $("published").textContent = `not published: ${error.message}`;
  }
};

/** The logarithmic slider for the size goes from 128 B to 16 KiB. Three steps double the size. */
const sizeOf = (step) => Math.round(128 * 2 ** (step / 3));
const stepOf = (bytes) => Math.round(Math.log2(bytes / 128) * 3);

let isMoving = false;
let timer;

/** Shows the pace that the server has, unless a slider is being moved. */
export function showPace({ per_second, bytes }, isOwn = false) {
  if (isMoving && !isOwn) return;
  if (!isOwn) {
    $("rate").value = per_second;
    $("size").value = stepOf(bytes);
  }
  $("rate-now").textContent = per_second === 0 ? "paused" : `${per_second} a second`;
  $("size-now").textContent = size(bytes);
}

/** Tells the server when a slider has moved. */
export function watchSliders(server, tell) {
  for (const id of ["rate", "size"]) {
    $(id).addEventListener("input", () => {
      isMoving = true;
      const pace = { per_second: +$("rate").value, bytes: sizeOf(+$("size").value) };
      showPace(pace, true);
      clearTimeout(timer);
      timer = setTimeout(async () => {
        // If the request fails, the next answer of /stats moves the sliders back.
        const error = await server.setPace(pace);
        if (error) tell(error);
        isMoving = false;
      }, PAUSE_MS);
    });
  }
}
