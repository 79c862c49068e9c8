/** Pages that end while something waits. */
import { cut, expect, expectEmptyQueue, expectStored, html, queued, record, test } from './harness';

test('a tab that is closed at once has been there', async ({ context, site, djaffar }) => {
  const page = await context.newPage();
  await page.goto(site.url('/first'), { waitUntil: 'commit' });
  await page.waitForFunction(() => 'djaffar' in window);
  await page.close();
  await expectStored(djaffar, ['/first']);
  const back = await context.newPage();
  await back.goto(site.url('/back'));
  await expectEmptyQueue(back);
  await expectStored(djaffar, ['/first', '/back']);
});

test('what is logged on the way to another page arrives', async ({ page, site, djaffar }) => {
  site.pages.set('/shop', html(`<a href="/next" onclick="djaffar.log({ path: 'click' })">next</a>`));
  await page.goto(site.url('/shop'));
  await page.click('a');
  await page.waitForURL('**/next');
  await expectEmptyQueue(page);
  await expectStored(djaffar, ['/shop', 'click', '/next']);
});

test('a closed tab takes nothing along, and the next page confirms it', async ({ context, site, djaffar }) => {
  const page = await context.newPage();
  await page.goto(site.url('/first'));
  await expectStored(djaffar, ['/first']);
  site.fault = cut;
  const things = Array.from({ length: 50 }, (_, number) => `thing ${number}`);
  await record(page, ...things);
  await expect.poll(() => queued(page)).toBe(50);
  site.fault = undefined;
  await page.close();
  await expectStored(djaffar, ['/first', ...things]);
  const back = await context.newPage();
  await back.goto(site.url('/back'));
  await expectEmptyQueue(back);
  await expectStored(djaffar, ['/first', ...things, '/back']);
});

test('more than may outlive a page waits for the next one', async ({ context, site, djaffar }) => {
  const page = await context.newPage();
  await page.goto(site.url('/first'));
  await expectStored(djaffar, ['/first']);
  site.fault = cut;
  const things = Array.from({ length: 300 }, (_, number) => `${number} ${'x'.repeat(900)}`);
  await record(page, ...things);
  await expect.poll(() => queued(page)).toBe(300);
  site.fault = undefined;
  await page.close();
  const back = await context.newPage();
  await back.goto(site.url('/back'));
  await expectEmptyQueue(back);
  await expectStored(djaffar, ['/first', ...things, '/back']);
});

test('a browser without keepalive leaves with a beacon', async ({ context, site, djaffar }) => {
  const page = await context.newPage();
  await page.addInitScript(() => Reflect.deleteProperty(Request.prototype, 'keepalive'));
  await page.goto(site.url('/first'));
  await expectStored(djaffar, ['/first']);
  await expectEmptyQueue(page);
  site.fault = cut;
  await record(page, 'last');
  await expect.poll(() => queued(page)).toBe(1);
  site.fault = undefined;
  await page.close();
  await expectStored(djaffar, ['/first', 'last']);
});
