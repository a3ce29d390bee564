// The guided tour: a button for each experiment, and the place where it tells what happens.

import { STEPS } from "./steps.js";

/** Makes the buttons. `context` is what steps.js needs, without `tell`. */
export function makeTour(context) {
  const [buttons, told] = [document.getElementById("steps"), document.getElementById("told")];
  const tell = (sentence) => told.textContent !== sentence && (told.textContent = sentence);
  let isRunning = false;
  for (const step of STEPS) {
    const item = document.createElement("li");
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.dataset.step = step.key;
    button.textContent = step.label;
    button.onclick = async () => {
      if (isRunning) return;
      isRunning = true;
      mark(button);
      told.dataset.step = step.key;
      told.dataset.state = "running";
      tell(await step.run({ ...context, tell }).catch((error) => `It did not work: ${error.message}`));
      told.dataset.state = "done";
      button.classList.add("is-done");
      isRunning = false;
      mark(null);
    };
    buttons.append(item);
  }

  /** A disabled button would lose the focus, so that the others are only marked. */
  function mark(running) {
    for (const button of buttons.querySelectorAll("button")) {
      button.classList.toggle("is-running", button === running);
      button.setAttribute("aria-disabled", running !== null);
    }
  }
  return tell;
}
