import type { Queued } from '../activity.js';
import { QUEUE_MAX, type Store } from '../store.js';

const QUEUE = 'queue';
const IDENTITY = 'identity';
/** Of the one record of `IDENTITY`. */
const LAST = 'last';

export async function openIndexedDb(name: string): Promise<Store> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(QUEUE, { keyPath: 'id' });
    opening.result.createObjectStore(IDENTITY);
  };
  const database = await result(opening);
  // A later version of this client must not wait for old pages.
  database.onversionchange = () => database.close();

  /** Resolves when what `work` asked for is committed. */
  function transact<T>(mode: IDBTransactionMode, work: (queue: IDBObjectStore, identity: IDBObjectStore) => () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = database.transaction([QUEUE, IDENTITY], mode);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      const done = work(transaction.objectStore(QUEUE), transaction.objectStore(IDENTITY));
      transaction.oncomplete = () => resolve(done());
    });
  }

  return {
    all: () =>
      transact('readonly', (queue) => {
        const all: IDBRequest<Queued[]> = queue.getAll();
        return () => all.result;
      }),

    put: (activity, spared) =>
      transact('readwrite', (queue, identity) => {
        const pushedOut: Queued[] = [];
        const last: IDBRequest<string | undefined> = identity.get(LAST);
        last.onsuccess = () => {
          activity.identity ??= last.result;
          queue.put(activity);
          const count = queue.count();
          count.onsuccess = () => {
            let excess = count.result - spared.size - QUEUE_MAX;
            if (excess > 0) {
              const oldest = queue.openCursor();
              oldest.onsuccess = () => {
                const cursor = oldest.result;
                if (cursor && excess > 0) {
                  if (!spared.has(cursor.key as string)) {
                    excess -= 1;
                    pushedOut.push(cursor.value as Queued);
                    cursor.delete();
                  }
                  cursor.continue();
                }
              };
            }
          };
        };
        return () => pushedOut;
      }),

    remove: (ids) =>
      transact('readwrite', (queue) => {
        ids.forEach((id) => queue.delete(id));
        return () => undefined;
      }),

    identity: () =>
      transact('readonly', (_, identity) => {
        const last: IDBRequest<string | undefined> = identity.get(LAST);
        return () => last.result;
      }),

    setIdentity: (last) =>
      transact('readwrite', (_, identity) => {
        identity.put(last, LAST);
        return () => undefined;
      }),
  };
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
