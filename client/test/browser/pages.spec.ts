/** One script element and nothing else. */
import { expect, expectEmptyQueue, expectStored, html, record, test } from './harness';

test('a first visit is one view in one session, with its cookie', async ({ page, site, djaffar }) => {
  await page.goto(site.url('/cart?page=2#top'), { referer: site.url('/from') });
  const [row] = await expectStored(djaffar, ['/cart?page=2']);
  expect(row).toMatchObject({ user: null, referer: site.url('/from') });
  expect(Math.abs(Date.parse(row!.date) - Date.now())).toBeLessThan(120_000);
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ name: 'djaffar_session', httpOnly: true });
  expect(cookie!.value).toContain(row!.session);
  const user_agent = await page.evaluate(() => navigator.userAgent);
  expect(await djaffar.sessions()).toMatchObject([{ session: row!.session, user_agent }]);
});

test('what is logged at once on a first visit shares one session', async ({ page, site, djaffar }) => {
  const burst = Array.from({ length: 20 }, (_, number) => `burst ${number}`);
  const body = `<script>addEventListener('DOMContentLoaded', () => ${JSON.stringify(burst)}.forEach((path) => djaffar.log({ path })))</script>`;
  site.pages.set('/burst', html(body));
  await page.goto(site.url('/burst'));
  const rows = await expectStored(djaffar, ['/burst', ...burst]);
  expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
});

test('two pages of a first visit share one session', async ({ context, site, djaffar }) => {
  const pages = [await context.newPage(), await context.newPage()];
  await Promise.all(pages.map((page, number) => page.goto(site.url(`/${number}`))));
  const rows = await expectStored(djaffar, ['/0', '/1']);
  expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
});

test('routes of a single page are views, with the one before as referer', async ({ page, site, djaffar }) => {
  await page.goto(site.url('/'));
  await page.evaluate(() => {
    history.pushState(null, '', '/users/me/');
    history.pushState(null, '', '/users/me/');
    history.replaceState(null, '', '/users/me/cart/?open');
  });
  await page.goBack();
  await page.goForward();
  await page.evaluate(() => (location.hash = 'anchor'));
  const rows = await expectStored(djaffar, ['/', '/users/me/', '/users/me/cart/?open', '/users/me/', '/users/me/cart/?open']);
  expect(rows.find(({ path }) => path === '/users/me/cart/?open')!.referer).toMatch(/\/users\/me\/$/);
});

test('without a Navigation API the History API tells the routes', async ({ page, site, djaffar }) => {
  await page.addInitScript(() => Object.defineProperty(window, 'navigation', { value: undefined }));
  await page.goto(site.url('/'));
  await page.evaluate(() => history.pushState(null, '', '/one'));
  await page.evaluate(() => history.replaceState(null, '', '/two'));
  await page.goBack();
  await expectStored(djaffar, ['/', '/one', '/two', '/']);
});

test('hash routes', async ({ page, site, djaffar }) => {
  site.pages.set('/app', html('', '<script defer src="/djaffar/djaffar.js" data-route="hash"></script>'));
  await page.goto(site.url('/app#users/me/'));
  await page.evaluate(() => (location.hash = 'users/me/cart/'));
  await page.evaluate(() => history.pushState(null, '', '#/orders'));
  await page.goBack();
  await expectStored(djaffar, ['users/me/', 'users/me/cart/', '/orders', 'users/me/cart/']);
});

test('going back and forward between pages', async ({ page, site, djaffar }) => {
  await page.goto(site.url('/first'));
  await page.click('a');
  await page.waitForURL('**/next');
  await page.goBack({ waitUntil: 'commit' });
  await page.waitForURL('**/first', { waitUntil: 'commit' });
  await page.goForward({ waitUntil: 'commit' });
  await expectStored(djaffar, ['/first', '/next', '/first', '/next']);
});

test('a page that comes back from the back/forward cache is a view', async ({ page, site, djaffar }) => {
  await page.addInitScript(() => addEventListener('pageshow', ({ persisted }) => Object.assign(window, { persisted })));
  await page.goto(site.url('/first'));
  await expectStored(djaffar, ['/first']);
  await expectEmptyQueue(page);
  await page.goto(site.url('/second'));
  await expectEmptyQueue(page);
  await page.goBack({ waitUntil: 'commit' });
  await expectStored(djaffar, ['/first', '/second', '/first']);
  expect(await page.evaluate(() => (window as { persisted?: boolean }).persisted)).toBe(true);
});

test('a page loaded in advance is a view once it is seen', async ({ page, site, djaffar }) => {
  const rules = '<script type="speculationrules">{"prerender": [{"urls": ["/next"], "eagerness": "immediate"}]}</script>';
  site.pages.set('/first', html(`${rules}<a href="/next">next</a>`));
  const loaded = new Promise<void>((resolve) => {
    site.pages.get = ((get) => (path: string) => {
      if (path === '/next') resolve();
      return get.call(site.pages, path);
    })(site.pages.get);
  });
  await page.goto(site.url('/first'));
  await loaded;
  await expectStored(djaffar, ['/first']);
  await record(page, 'still on the first');
  await expectStored(djaffar, ['/first', 'still on the first']);
  await page.click('a');
  await page.waitForURL('**/next');
  await expectStored(djaffar, ['/first', 'still on the first', '/next']);
});

test('options in data attributes: another endpoint, and no views by itself', async ({ page, site, djaffar }) => {
  const script = `<script defer src="/copy.js" data-endpoint="/djaffar" data-manual></script>`;
  site.pages.set('/manual', html('', script));
  site.pages.set('/copy.js', { body: await (await fetch(site.url('/djaffar/djaffar.js'))).text(), type: 'text/javascript' });
  await page.goto(site.url('/manual'));
  const outcome = await page.evaluate(() => window.djaffar.log({ path: 'by hand', referer: 'here' }));
  expect(outcome).toEqual({ outcome: 'accepted' });
  expect(await expectStored(djaffar, ['by hand'])).toMatchObject([{ referer: 'here' }]);
  const refused = await page.evaluate(() => window.djaffar.log({ path: 'never', date: 'no date' }));
  expect(refused).toMatchObject({ outcome: 'dropped', reason: 'refused', status: 400 });
  expect(await page.evaluate(() => window.djaffar.dropped())).toBe(1);
  const odd = await page.evaluate(() => Promise.all(['\ud800', '\0', ' ', 'x'.repeat(2000)].map((path) => window.djaffar.log({ path }))));
  expect(odd.map(({ outcome }) => outcome)).toEqual(odd.map(() => 'dropped'));
  await expectStored(djaffar, ['by hand']);
});

test('a thousand clicks', async ({ page, site, djaffar }) => {
  const button = `<button onclick="djaffar.log({ path: 'click ' + clicks++ })">click</button><script>let clicks = 0</script>`;
  site.pages.set('/clicks', html(button));
  await page.goto(site.url('/clicks'));
  await expectStored(djaffar, ['/clicks']);
  await expectEmptyQueue(page);
  await page.evaluate(() => {
    for (let click = 0; click < 1000; click += 1) document.querySelector('button')!.click();
  });
  const clicks = Array.from({ length: 1000 }, (_, click) => `click ${click}`);
  const rows = await expectStored(djaffar, ['/clicks', ...clicks]);
  expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
  await expectEmptyQueue(page);
  expect(await page.evaluate(() => window.djaffar.dropped())).toBe(0);
});
