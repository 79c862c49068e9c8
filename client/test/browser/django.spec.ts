/** Users of a real Django site, and tokens: whose is what was queued? */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { cut, expect, expectEmptyQueue, expectStored, html, queued, record, serve, Site, test } from './harness';
import { binary, Directory } from './harness/process';
import { Shop } from './harness/shop';

for (const rule of ['same-origin', 'strict']) {
  test(`what a logged-in user logs is theirs (${rule})`, async ({ page }) => {
    const shop = await Shop.open({ djaffar: ['--django-csrf', rule] });
    try {
      await page.goto(shop.site.url('/'));
      await expectStored(shop.djaffar, ['/']);
      await expectEmptyQueue(page);
      await shop.logIn(page, 'ann');
      expect(await page.evaluate(() => window.djaffar.log({ path: 'click' }))).toEqual({ outcome: 'accepted' });
      await page.reload();
      const rows = await expectStored(shop.djaffar, ['/', '/account/', 'click', '/account/']);
      const users = rows.map(({ path, user }) => [path, user]);
      expect(users.sort()).toEqual([['/', null], ['/account/', '1'], ['/account/', '1'], ['click', '1']]);
      expect(rows.every(({ session }) => session !== null)).toBe(true);
    } finally {
      await shop.close();
    }
  });
}

test("what ann could not send never becomes ben's", async ({ page }) => {
  const shop = await Shop.open();
  try {
    await shop.logIn(page, 'ann');
    await expectStored(shop.djaffar, ['/account/']);
    await expectEmptyQueue(page);
    shop.site.fault = cut;
    await record(page, 'ann, one', 'ann, two');
    await expect.poll(() => queued(page)).toBe(2);
    await shop.logOut(page);
    await shop.logIn(page, 'ben');
    await expect.poll(() => queued(page)).toBeGreaterThanOrEqual(4);
    shop.site.fault = undefined;
    await page.goto(shop.site.url('/ben/'));
    await expectEmptyQueue(page);
    const rows = await expectStored(shop.djaffar, ['/account/', 'ann, one', 'ann, two', '/bye/', '/account/', '/ben/']);
    const of = (path: string): (string | null)[] => rows.filter((row) => row.path === path).map(({ user }) => user);
    expect([...of('ann, one'), ...of('ann, two'), ...of('/bye/')]).toEqual([null, null, null]);
    expect(rows.filter(({ path }) => path.startsWith('ann')).every(({ session }) => session === null)).toBe(true);
    expect(of('/ben/')).toEqual(['2']);
    expect(rows.filter(({ user }) => user === '2').every(({ path }) => path.startsWith('/ben/') || path === '/account/')).toBe(true);
  } finally {
    await shop.close();
  }
});

test("what ann could not send is ann's when it is sent by her next page", async ({ page }) => {
  const shop = await Shop.open();
  try {
    await shop.logIn(page, 'ann');
    await expectStored(shop.djaffar, ['/account/']);
    await expectEmptyQueue(page);
    shop.site.fault = cut;
    await record(page, 'offline');
    await expect.poll(() => queued(page)).toBe(1);
    await page.goto(shop.site.url('/other/'));
    await expect.poll(() => queued(page)).toBe(2);
    shop.site.fault = undefined;
    await page.goto(shop.site.url('/third/'));
    const rows = await expectStored(shop.djaffar, ['/account/', 'offline', '/other/', '/third/']);
    expect(new Set(rows.map(({ user }) => user))).toEqual(new Set(['1']));
    expect(new Set(rows.map(({ session }) => session)).size).toBe(1);
  } finally {
    await shop.close();
  }
});

test('a token that has expired is asked for anew, and is the user', async ({ page }) => {
  const directory = new Directory();
  const database = join(directory.path, 'tokens.sqlite3');
  const make = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table token (value text, user_id text)'); c.execute(\"insert into token values ('fresh', 'ann')\"); c.commit()";
  execFileSync(binary('python'), ['-c', make, database]);
  const query = 'SELECT user_id FROM token WHERE value = $1';
  const djaffar = await serve('--token-database', `sqlite:${database}`, '--token-query', query);
  const site = await Site.start(djaffar.port);
  try {
    const start = `<script defer src="/djaffar/djaffar.js" data-manual></script><script>
      addEventListener('DOMContentLoaded', () => djaffar.init({ manual: false, token: async (isRefresh) => (isRefresh ? 'fresh' : 'stale') }));
    </script>`;
    site.pages.set('*', html('', start));
    await page.goto(site.url('/'));
    const [row] = await expectStored(djaffar, ['/']);
    expect(row).toMatchObject({ user: 'ann' });
    await expectEmptyQueue(page);
    await page.evaluate(() => window.djaffar.init({ token: () => 'stolen' }));
    expect(await page.evaluate(() => window.djaffar.log({ path: 'never' }))).toMatchObject({ outcome: 'dropped', status: 401 });
    await expectStored(djaffar, ['/']);
  } finally {
    site.stop();
    await djaffar.stop();
    directory.remove();
  }
});
