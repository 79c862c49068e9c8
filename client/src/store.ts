import { NOBODY, type Queued } from './activity.js';
import { openIndexedDb } from './store/indexed_db.js';
import { openLocalStorage } from './store/local_storage.js';
import { nowhere } from './store/nowhere.js';
import { within } from './within.js';

/** Outlives the page and is shared by all pages of the site. */
export interface Store {
  /** Oldest first. */
  all(): Promise<Queued[]>;
  /**
   * Keeps `activity`, and notes in it the identity of the last answer if it names none; returns the oldest that
   * had to go for it, none of which is among the `spared`. Rejects when it cannot.
   */
  put(activity: Queued, spared: ReadonlySet<string>): Promise<Queued[]>;
  remove(ids: readonly string[]): Promise<void>;
  identity(): Promise<string | undefined>;
  setIdentity(identity: string): Promise<void>;
}

/** Most activities that wait, beside the spared; beyond it the oldest go. */
export const QUEUE_MAX = 1000;

/** Some browsers never answer `open`. */
const OPEN_MS = 3000;

/** The best that this browser allows. */
export async function openStore(name: string): Promise<Store> {
  let second = nowhere;
  try {
    second = openLocalStorage(name);
  } catch {
    // Barred.
  }
  try {
    const best = await within(OPEN_MS, openIndexedDb(name));
    await move(second, best).catch(() => undefined);
    return best;
  } catch {
    return second;
  }
}

/** For a page that ends before its store has answered: done on return, and taken along by the next page. */
export function keepNow(name: string, activities: readonly Queued[]): void {
  try {
    const store = openLocalStorage(name);
    activities.forEach((activity) => store.put(activity, new Set()).catch(() => undefined));
  } catch {
    // Barred.
  }
}

/** What a page kept that had no better store that day, or no time. */
async function move(from: Store, to: Store): Promise<void> {
  const activities = await from.all();
  for (const { identity, ...activity } of activities) {
    await to.put({ ...activity, identity: identity ?? NOBODY }, new Set());
  }
  await from.remove(activities.map(({ id }) => id));
}
