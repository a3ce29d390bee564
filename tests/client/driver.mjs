// What the tests of the client do in a page: they subscribe, and wait for what arrives.

import { newPage, PATIENCE } from "./support.mjs";

export const numbered = (from, to) => Array.from({ length: to - from }, (_, at) => `message ${from + at}`);

/** Opens a page that has the client, and no other script. */
export async function open(proxy, context) {
  const page = context ? await context.newPage() : await newPage();
  await page.goto(`${proxy.url}plaintext`);
  return page;
}

/** Subscribes in a page. `window.subs` has an entry for each name. */
export const begin = (page, name, options) =>
  page.evaluate(
    async ([key, given]) => {
      const { subscribe } = await import("/files/pushlab.js");
      const entry = { got: [], gaps: 0, states: [] };
      (window.subs ??= {})[key] = entry;
      entry.subscription = subscribe(given.url ?? "/topics", {
        ...{ retryMs: [50, 500], answerMs: 2000, ...given },
        onmessage: ({ data }) => entry.got.push(data),
        ongap: () => (entry.gaps += 1),
        onstate: (state, detail) => entry.states.push({ state, ...detail }),
      });
    },
    [name, options],
  );

export async function until(page, what, condition, argument) {
  await page.waitForFunction(condition, argument, PATIENCE).catch(async (error) => {
    const found = await page.evaluate(() => Object.entries(window.subs).map(([name, { got, states }]) => [name, got.length, states.slice(-4)]));
    throw new Error(`${what}: ${JSON.stringify(found)}`, { cause: error });
  });
}

export const live = (page, name, technique) =>
  until(page, `${name} live by ${technique}`, ([key, wanted]) => {
    const { state, technique: current } = window.subs[key].subscription;
    return state === "live" && current === wanted;
  }, [name, technique]);

export const untilAll = (page, count, when) =>
  until(page, `${count} messages ${when}`, (wanted) => Object.values(window.subs).every(({ got }) => got.length >= wanted), count);
