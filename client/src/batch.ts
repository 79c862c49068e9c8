/**
 * What goes into one request, and whose each activity is said to be.
 *
 * Rule of safety: an activity that cannot be the sender's for sure names the
 * identity it was recorded under, and the server stores it without user and
 * session where that is not the sender's. Held by `test/batch.test.ts` and
 * `test/browser/django.spec.ts`.
 */
import { type Activity, NOBODY, type Queued } from './activity.js';

/** The server takes no more in one batch. */
const ITEMS_MAX = 1000;
/** In this time nobody logs out and somebody else in; the page may have logged in just before. */
export const FRESH_MS = 10_000;

const encoder = new TextEncoder();

export interface Waiting {
  readonly activity: Queued;
  /** When this page recorded it; `undefined` for what another page did. */
  readonly recordedAt: number | undefined;
}

export interface Batch {
  readonly activities: readonly Activity[];
  readonly body: string;
  readonly bytes: number;
}

/** As many of the oldest as fit; one that never fits goes alone where `bytesMax` allows nothing else. */
export function takeBatch(waiting: Iterable<Waiting>, bytesMax: number, itemsMax: number, now: number): Batch {
  const activities: Activity[] = [];
  const items: string[] = [];
  let bytes = 2;
  for (const { activity, recordedAt } of waiting) {
    const item = JSON.stringify(wire(activity, recordedAt, now));
    const itemBytes = encoder.encode(item).length + 1;
    if (items.length === Math.min(itemsMax, ITEMS_MAX) || (bytes + itemBytes > bytesMax && items.length > 0)) {
      break;
    }
    bytes += itemBytes;
    items.push(item);
    activities.push(activity);
  }
  return { activities, body: `[${items.join()}]`, bytes };
}

/**
 * Another page recorded it moments ago, and before any answer: only that page can say that it is the sender's.
 * What a page leaves behind waits so long before it is sent as nobody's.
 */
export function isLeftToItsPage({ id, identity }: Queued, now: number): boolean {
  // A UUIDv7 begins with its time.
  const recordedAt = parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  return identity === undefined && Math.abs(now - recordedAt) < FRESH_MS;
}

function wire({ identity, ...activity }: Queued, recordedAt: number | undefined, now: number): Queued {
  const isSenders = recordedAt !== undefined && Math.abs(now - recordedAt) < FRESH_MS;
  return isSenders ? activity : { ...activity, identity: identity ?? NOBODY };
}
