import type { Queued } from '../activity.js';
import { QUEUE_MAX, type Store } from '../store.js';

/** Throws where the browser bars it. */
export function openLocalStorage(name: string): Store {
  const storage = localStorage;
  const queue = `${name} queue `;
  const last = `${name} identity`;
  storage.setItem(queue, '');
  storage.removeItem(queue);

  /** Ids sort by age, and so do these. */
  const keys = (): string[] =>
    Object.keys(storage)
      .filter((key) => key.startsWith(queue))
      .sort();
  const read = (key: string): Queued[] => {
    const text = storage.getItem(key);
    return text ? [JSON.parse(text) as Queued] : [];
  };
  const identity = (): string | undefined => storage.getItem(last) ?? undefined;

  return {
    all: async () => keys().flatMap(read),
    put: async (activity, spared) => {
      activity.identity ??= identity();
      storage.setItem(queue + activity.id, JSON.stringify(activity));
      const waits = keys().filter((key) => !spared.has(key.slice(queue.length)));
      const pushedOut = waits.slice(0, Math.max(0, waits.length - QUEUE_MAX));
      const activities = pushedOut.flatMap(read);
      pushedOut.forEach((key) => storage.removeItem(key));
      return activities;
    },
    remove: async (ids) => ids.forEach((id) => storage.removeItem(queue + id)),
    identity: async () => identity(),
    setIdentity: async (value) => storage.setItem(last, value),
  };
}
