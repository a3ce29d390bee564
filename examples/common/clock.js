// The server's clock, as this page knows it, to compute how old a message is.
//
// Owns the browser's clock and its offset to the server's. Leaves to the pages which request
// compares the two.

const sameMachine = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
const clock = { base: performance.timeOrigin, offset: 0, roundTrip: Infinity };

// Unix time in milliseconds with a fraction. Date.now() follows the system's clock, but has whole
// milliseconds only. performance.now() has a fraction, but does not follow the system's clock. So
// performance.now() counts, and is kept within the millisecond of Date.now().
export function wallClock() {
  const whole = Date.now();
  const time = clock.base + performance.now();
  const kept = Math.min(Math.max(time, whole), whole + 1);
  clock.base += kept - time;
  return kept;
}

/** The server's time: exact on the same machine, otherwise as the last comparison estimated it. */
export const serverClock = () => wallClock() + clock.offset;

/**
 * Compares the clocks. The server is assumed to read its clock in the middle of the round trip; the
 * fastest round trip has the smallest error.
 */
export function compareClocks(sent, received, serverTime) {
  if (sameMachine || received - sent > clock.roundTrip) return;
  clock.roundTrip = received - sent;
  clock.offset = serverTime - (sent + received) / 2;
}

export const describeClock = () =>
  sameMachine
    ? "Server and browser share this machine's clock."
    : `The server's clock is compared with this machine's by the fastest answer so far. It took ${Math.min(clock.roundTrip, 9999).toFixed(1)} ms; the error is at most half of that.`;
