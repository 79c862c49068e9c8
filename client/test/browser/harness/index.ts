/** A browser, a site with one page and Djaffar behind it; and the rule that every test ends with. */
import { expect, type Page, test as base } from '@playwright/test';
import { type Djaffar, type Row, serve } from './djaffar';
import { until } from './process';
import { html, Site } from './site';

export { expect } from '@playwright/test';
export { pipeline, serve } from './djaffar';
export { until } from './process';
export { cut, cutAnswer, html, Site } from './site';

/** What pages call. */
interface Client {
  init(options?: object): void;
  log(log?: { path?: string; referer?: string; date?: string }): Promise<{ outcome: string }>;
  dropped(): number;
}
declare global {
  interface Window {
    djaffar: Client;
  }
}

export const test = base.extend<{ djaffar: Djaffar; site: Site }>({
  djaffar: async ({}, use) => {
    const djaffar = await serve();
    await use(djaffar);
    await djaffar.stop();
  },
  site: async ({ djaffar }, use) => {
    const site = await Site.start(djaffar.port);
    site.pages.set('*', html('<a href="/next">next</a>'));
    await use(site);
    site.stop();
  },
});

/** Waits until each path is in the database, and finds each exactly as often as it is named. */
export async function expectStored(djaffar: Pick<Djaffar, 'rows'>, paths: string[]): Promise<Row[]> {
  const count = (all: string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    [...all].sort().forEach((path) => (counts[path] = (counts[path] ?? 0) + 1));
    return counts;
  };
  let rows: Row[] = [];
  await until(`${paths.length} rows`, 90_000, async () => {
    rows = await djaffar.rows();
    return rows.length >= paths.length || undefined;
  }).catch(() => undefined);
  expect(count(rows.map(({ path }) => path))).toEqual(count(paths));
  expect(new Set(rows.map(({ id }) => id)).size).toBe(paths.length);
  return rows;
}

/** Waits until this browser has nothing left to send, and nothing more arrives by that. */
export async function expectEmptyQueue(page: Page): Promise<void> {
  await expect.poll(() => queued(page), { timeout: 60_000 }).toBe(0);
}

/** How many activities wait in the browser, for the page's own origin. */
export function queued(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const name = (await indexedDB.databases()).map((database) => database.name!).find((name) => name.startsWith('djaffar '));
    if (!name) {
      return 0;
    }
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    const count = await new Promise<number>((resolve) => {
      const counting = database.transaction('queue').objectStore('queue').count();
      counting.onsuccess = () => resolve(counting.result);
    });
    database.close();
    return count;
  });
}

/** Records without waiting for the outcome. */
export function record(page: Page, ...paths: string[]): Promise<void> {
  return page.evaluate((all) => all.forEach((path) => void window.djaffar.log({ path })), paths);
}
