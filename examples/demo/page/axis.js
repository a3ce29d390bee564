// A logarithmic axis, and labels that do not cover each other.

/** Maps values from `least` to `most` to pixels from `start` to `end`. Values outside go to its ends. */
export function logAxis(least, most, start, end) {
  const [low, high] = [Math.log10(least), Math.log10(most)];
  return (value) => start + ((Math.min(Math.max(Math.log10(value), low), high) - low) / (high - low)) * (end - start);
}

/** The powers of ten from `least` to `most`. */
export function ticks(least, most) {
  const first = Math.ceil(Math.log10(least) - 1e-9);
  const last = Math.floor(Math.log10(most) + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, step) => 10 ** (first + step));
}

/**
 * Moves places apart until each two are at least `distance` apart, between `least` and `most`. The order
 * of the places stays.
 */
export function spread(places, distance, least, most) {
  const order = places.map((place, index) => ({ place, index })).sort((one, other) => one.place - other.place);
  let floor = least;
  for (const item of order) {
    item.place = Math.max(item.place, floor);
    floor = item.place + distance;
  }
  let ceiling = most;
  for (const item of order.toReversed()) {
    item.place = Math.min(item.place, ceiling);
    ceiling = item.place - distance;
  }
  const spreaded = [];
  for (const { place, index } of order) spreaded[index] = place;
  return spreaded;
}
