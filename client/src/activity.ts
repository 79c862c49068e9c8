/** One thing that a user did, as it is queued and sent. */
export interface Activity {
  /** A UUIDv7: with the date, what makes a retry count once. */
  readonly id: string;
  /** ISO 8601, when it happened. */
  readonly date: string;
  readonly path: string;
  readonly referer?: string;
}

/** As it waits: with whom the server took this browser for when it was recorded, if it had answered before. */
export interface Queued extends Activity {
  identity?: string | undefined;
}

/** Never a digest of anybody. */
export const NOBODY = 'unknown';

/** The server refuses longer ones, in characters. */
const PATH_MAX = 1000;
const REFERER_MAX = 2048;

export function newActivity(path: string, referer: string | undefined, date: Date | string | undefined): Activity {
  const now = Date.now();
  const happened = date === undefined ? new Date(now) : date;
  return {
    id: newId(now),
    date: typeof happened === 'string' ? happened : happened.toISOString(),
    path,
    ...(referer ? { referer } : {}),
  };
}

/** Addresses that the page did not choose are cut rather than refused. */
export function cutPath(path: string): string {
  return cut(path, PATH_MAX);
}

export function cutReferer(referer: string): string {
  return cut(referer, REFERER_MAX);
}

function cut(text: string, max: number): string {
  return text.length > max ? Array.from(text).slice(0, max).join('') : text;
}

/** A UUIDv7, so that ids sort by age and the server's index stays local. */
export function newId(now: number): string {
  const random = crypto.getRandomValues(new Uint8Array(10));
  random[0] = (random[0]! & 0x0f) | 0x70;
  random[2] = (random[2]! & 0x3f) | 0x80;
  const hex = now.toString(16).padStart(12, '0') + Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
