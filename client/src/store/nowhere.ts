import type { Store } from '../store.js';

/** For a browser that keeps nothing: what a page records then waits in the page alone. */
export const nowhere: Store = {
  all: async () => [],
  put: () => Promise.reject(new Error('djaffar: nothing is kept')),
  remove: async () => undefined,
  identity: async () => undefined,
  setIdentity: async () => undefined,
};
