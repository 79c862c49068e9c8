/** Several tabs, barred storage, other origins, policies. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from '@playwright/test';
import { cut, expect, expectEmptyQueue, expectStored, html, queued, record, serve, Site, test } from './harness';
import { Directory } from './harness/process';

test('two tabs share the queue', async ({ context, site, djaffar }) => {
  const tabs = [await context.newPage(), await context.newPage()];
  for (const [number, tab] of tabs.entries()) {
    await tab.goto(site.url(`/${number}`));
  }
  await expectStored(djaffar, ['/0', '/1']);
  site.fault = cut;
  const things = (tab: number): string[] => Array.from({ length: 50 }, (_, number) => `tab ${tab}, thing ${number}`);
  await Promise.all(tabs.map((tab, number) => record(tab, ...things(number))));
  await expect.poll(() => queued(tabs[0]!)).toBe(100);
  site.fault = undefined;
  await expectEmptyQueue(tabs[0]!);
  await expectEmptyQueue(tabs[1]!);
  await expectStored(djaffar, ['/0', '/1', ...things(0), ...things(1)]);
});

test('a tab that is left sends what a closed one could not', async ({ context, site, djaffar }) => {
  const [closed, left] = [await context.newPage(), await context.newPage()];
  await closed.goto(site.url('/closed'));
  await left.goto(site.url('/left'));
  await expectStored(djaffar, ['/closed', '/left']);
  site.fault = cut;
  await record(closed, 'of the closed one');
  await expect.poll(() => queued(left)).toBe(1);
  await closed.close();
  site.fault = undefined;
  await record(left, 'of the other');
  await expectStored(djaffar, ['/closed', '/left', 'of the closed one', 'of the other']);
});

test.describe('without IndexedDB', () => {
  test.beforeEach(async ({ context }) => {
    await context.addInitScript(() => Object.defineProperty(window, 'indexedDB', { get: () => { throw new DOMException('barred', 'SecurityError'); } }));
  });

  test('localStorage keeps the queue', async ({ context, site, djaffar }) => {
    const page = await context.newPage();
    await page.goto(site.url('/first'));
    await expectStored(djaffar, ['/first']);
    site.fault = cut;
    await record(page, 'one', 'two');
    const keys = (tab: Page): Promise<number> => tab.evaluate(() => Object.keys(localStorage).filter((key) => key.includes(' queue ')).length);
    await expect.poll(() => keys(page)).toBe(2);
    await page.close();
    site.fault = undefined;
    const back = await context.newPage();
    await back.goto(site.url('/back'));
    await expectStored(djaffar, ['/first', 'one', 'two', '/back']);
    await expect.poll(() => keys(back)).toBe(0);
  });
});

test('a browser that bars all storage and cookies logs all the same', async ({ site, djaffar }, { project }) => {
  const profile = new Directory();
  mkdirSync(join(profile.path, 'Default'));
  const preferences = { profile: { default_content_setting_values: { cookies: 2 } } };
  writeFileSync(join(profile.path, 'Default/Preferences'), JSON.stringify(preferences));
  const context = await chromium.launchPersistentContext(profile.path, project.use.launchOptions);
  try {
    const page = await context.newPage();
    await page.goto(site.url('/'));
    const barred = (): boolean => {
      try {
        return !localStorage;
      } catch {
        return true;
      }
    };
    expect(await page.evaluate(barred)).toBe(true);
    await expectStored(djaffar, ['/']);
    site.fault = cut;
    const outcome = page.evaluate(() => window.djaffar.log({ path: 'waits in the page' }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    site.fault = undefined;
    expect(await outcome).toEqual({ outcome: 'accepted' });
    await expectStored(djaffar, ['/', 'waits in the page']);
  } finally {
    await context.close();
    profile.remove();
  }
});

test('another origin, with credentials and a policy; a preflight only for a token', async ({ page }) => {
  const site = await Site.start(0);
  const djaffar = await serve('--allowed-origins', site.origin);
  const log = await Site.start(djaffar.port);
  const source = `src="${log.url('/djaffar/djaffar.js')}"`;
  const headers = { 'Content-Security-Policy': `default-src 'none'; script-src ${log.origin} 'nonce-n'; connect-src ${log.origin}; img-src data:` };
  site.pages.set('*', { ...html('', `<script defer ${source}></script>`), headers });
  const start = "<script nonce='n'>djaffar.init({ manual: false, token: () => 'that nobody claims' })</script>";
  site.pages.set('/token', { ...html('', `<script ${source} data-manual></script>${start}`), headers });
  const preflights = (): number => log.passed.filter((line) => line.startsWith('OPTIONS')).length;
  try {
    for (const path of ['/first', '/second']) {
      await page.goto(site.url(path));
      await page.waitForFunction(() => 'djaffar' in window);
      await expectEmptyQueue(page);
    }
    expect(preflights()).toBe(0);
    await page.goto(site.url('/token'));
    const rows = await expectStored(djaffar, ['/first', '/second', '/token']);
    expect(preflights()).toBe(1);
    expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
  } finally {
    log.stop();
    site.stop();
    await djaffar.stop();
  }
});

test('an origin that is not allowed logs as nobody and reads nothing', async ({ page }) => {
  const site = await Site.start(0);
  const djaffar = await serve();
  try {
    site.pages.set('*', html('', `<script defer src="http://127.0.0.1:${djaffar.port}/djaffar/djaffar.js"></script>`));
    await page.goto(site.url('/foreign'));
    await expectStored(djaffar, ['/foreign']);
    // It never learns that, and its retries count no more.
    await page.waitForEvent('requestfailed', (request) => request.url().endsWith('/batch/'));
    expect(await queued(page)).toBe(1);
    expect(await page.context().cookies()).toEqual([]);
    await expectStored(djaffar, ['/foreign']);
  } finally {
    site.stop();
    await djaffar.stop();
  }
});

for (const [name, policy, script] of [
  ['by source', "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:", '<script defer src="/djaffar/djaffar.js"></script>'],
  ['by nonce', "default-src 'none'; script-src 'nonce-r4nd0m'; connect-src 'self'; img-src data:; require-trusted-types-for 'script'", '<script defer nonce="r4nd0m" src="/djaffar/djaffar.js"></script>'],
] as const) {
  test(`a content security policy ${name}`, async ({ page, site, djaffar }) => {
    site.pages.set('*', { ...html('', script), headers: { 'Content-Security-Policy': policy } });
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(site.url('/'));
    await page.evaluate(() => history.pushState(null, '', '/route'));
    await expectStored(djaffar, ['/', '/route']);
    await expectEmptyQueue(page);
    expect(complaints).toEqual([]);
  });
}

test('the script may be pinned with its hash, and is not sent again', async ({ site, djaffar }) => {
  const first = await fetch(`http://127.0.0.1:${djaffar.port}/djaffar/djaffar.js`);
  expect(Object.fromEntries(first.headers)).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': expect.stringContaining('max-age=300') as unknown,
  });
  const etag = first.headers.get('etag')!;
  const versioned = await fetch(site.url(`/djaffar/djaffar.js?v=${etag.slice(1, -1)}`), { method: 'HEAD' });
  expect(versioned.headers.get('cache-control')).toContain('immutable');
  expect(await versioned.text()).toBe('');
  const again = await fetch(`http://127.0.0.1:${djaffar.port}/djaffar/djaffar.js`, { headers: { 'If-None-Match': etag } });
  expect([again.status, await again.text()]).toEqual([304, '']);
});
