/** The network, the server or what is behind it is away. */
import { cut, cutAnswer, expect, expectEmptyQueue, expectStored, pipeline, queued, record, Site, test, html } from './harness';

test('offline for a minute, then online', async ({ page, context, site, djaffar }) => {
  await page.clock.install();
  await page.goto(site.url('/'));
  await expectStored(djaffar, ['/']);
  await context.setOffline(true);
  const dates = await page.evaluate(() => Date.now());
  const outcomes = page.evaluate(() => Promise.all(['one', 'two', 'three'].map((path) => window.djaffar.log({ path }))));
  await expect.poll(() => queued(page)).toBe(3);
  await page.clock.runFor(60_000);
  await expectStored(djaffar, ['/']);
  await context.setOffline(false);
  expect(await outcomes).toEqual(Array.from({ length: 3 }, () => ({ outcome: 'accepted' })));
  const rows = await expectStored(djaffar, ['/', 'one', 'two', 'three']);
  // As of when it happened, and still of the same session.
  expect(rows.every(({ date }) => Math.abs(Date.parse(date) - dates) < 30_000)).toBe(true);
  expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`the server is stopped with ${signal} and started again`, async ({ page, site, djaffar }) => {
    await page.goto(site.url('/'));
    await expectStored(djaffar, ['/']);
    const outcomes = page.evaluate(() => Promise.all(Array.from({ length: 20 }, (_, number) => window.djaffar.log({ path: `${number}` }))));
    await djaffar.front.end(signal);
    await record(page, 'meanwhile');
    await djaffar.front.start();
    expect(new Set((await outcomes).map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
    await expectEmptyQueue(page);
    await expectStored(djaffar, ['/', 'meanwhile', ...Array.from({ length: 20 }, (_, number) => `${number}`)]);
  });
}

test('an answer that is lost does no harm', async ({ page, site, djaffar }) => {
  await page.goto(site.url('/'));
  await expectStored(djaffar, ['/']);
  site.fault = cutAnswer;
  const outcome = page.evaluate(() => window.djaffar.log({ path: 'stored, and not known to be' }));
  await expectStored(djaffar, ['/', 'stored, and not known to be']);
  site.fault = undefined;
  expect(await outcome).toEqual({ outcome: 'accepted' });
  await expectStored(djaffar, ['/', 'stored, and not known to be']);
});

test('503 with Retry-After is waited for', async ({ page, site, djaffar }) => {
  const asked: number[] = [];
  site.fault = ({ url }, response) => {
    if (asked.push(Date.now()) > 1) {
      return false;
    }
    response.writeHead(503, { 'Retry-After': '4' }).end(url);
    return true;
  };
  await page.goto(site.url('/'));
  await expect.poll(() => asked.length).toBe(1);
  await record(page, 'meanwhile');
  await expectStored(djaffar, ['/', 'meanwhile']);
  expect(asked[1]! - asked[0]!).toBeGreaterThanOrEqual(3990);
});

test('a captive portal that answers 200 swallows nothing', async ({ page, site, djaffar }) => {
  site.fault = (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome to our network</h1>');
    return true;
  };
  await page.goto(site.url('/'));
  await expect.poll(() => queued(page)).toBe(1);
  site.fault = cut;
  await record(page, 'meanwhile');
  site.fault = undefined;
  await expectStored(djaffar, ['/', 'meanwhile']);
});

test('ingest, NATS and a writer: the broker goes and comes', async ({ page }) => {
  const djaffar = await pipeline();
  const site = await Site.start(djaffar.port);
  site.pages.set('*', html(''));
  try {
    await page.goto(site.url('/'));
    await expectStored(djaffar, ['/']);
    await djaffar.nats.end('SIGKILL');
    const things = Array.from({ length: 10 }, (_, number) => `${number}`);
    const outcomes = page.evaluate((paths) => Promise.all(paths.map((path) => window.djaffar.log({ path }))), things);
    // Ingest itself answers 503 now.
    const answer = await page.waitForResponse((response) => response.url().endsWith('/batch/') && response.status() === 503);
    expect(answer.headers()['retry-after']).toBeTruthy();
    await djaffar.nats.start();
    expect(new Set((await outcomes).map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
    await expectEmptyQueue(page);
    const rows = await expectStored(djaffar, ['/', ...things]);
    expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
  } finally {
    site.stop();
    await djaffar.stop();
  }
});
