// When something was published, by the clock of this machine.

const sameMachine = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
const clock = { base: performance.timeOrigin, offset: 0, roundTrip: Infinity };

// Unix time in milliseconds with a fraction. Date.now() follows the system's clock but is cut to whole milliseconds; performance.now() is
// fine-grained but does not follow. So the latter counts, and is kept within the former's millisecond.
export function wallClock() {
  const whole = Date.now();
  const time = clock.base + performance.now();
  const kept = Math.min(Math.max(time, whole), whole + 1);
  clock.base += kept - time;
  return kept;
}

/** The server's clock, as far as it is known. */
export const serverClock = () => wallClock() + clock.offset;

/** Another machine's clock is read half a round trip ago; the quickest answer says it best. */
export function compareClocks(sent, received, serverTime) {
  if (sameMachine || received - sent > clock.roundTrip) return;
  clock.roundTrip = received - sent;
  clock.offset = serverTime - (sent + received) / 2;
}

export const describeClock = () =>
  sameMachine
    ? "Server and browser share this machine's clock."
    : `The server's clock is compared with this one's by the quickest answer so far; the error is at most half of its ${Math.min(clock.roundTrip, 9999).toFixed(1)} ms.`;
