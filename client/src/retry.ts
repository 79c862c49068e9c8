const FIRST_MS = 1000;
const LONGEST_MS = 300_000;
/** However long the server asks for: a wrong clock or header must not silence a page for ever. */
const ASKED_MAX_MS = 3_600_000;

/** How long to wait after so many failures in a row; `random` is from 0 to 1, so that pages do not return all at once. */
export function retryDelay(failures: number, askedMs: number | undefined, random: number): number {
  const backOff = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.5 + random / 2);
  const asked = Math.min(askedMs ?? 0, ASKED_MAX_MS);
  return Math.max(backOff, asked && asked + random * FIRST_MS);
}
