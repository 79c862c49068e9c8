/** What browsers have logged, on the pages of Django's admin site. */
import { join } from 'node:path';
import { expect, expectEmptyQueue, expectStored, test } from './harness';
import { TOOLS } from './harness/process';
import { Shop } from './harness/shop';

test('the admin site shows who has been where', async ({ page, browser }) => {
  const shop = await Shop.open({ rows: 'in Django' });
  try {
    await page.goto(shop.site.url('/'));
    await expectStored(shop.djaffar, ['/']);
    await expectEmptyQueue(page);
    await shop.logIn(page, 'ann');
    await page.evaluate(() => window.djaffar.log({ path: 'basket/<b>' }));
    await page.goto(shop.site.url('/books/'));
    await expectEmptyQueue(page);
    const rows = await expectStored(shop.djaffar, ['/', '/account/', 'basket/<b>', '/books/']);
    const session = rows.find(({ path }) => path === '/books/')!.session!;

    const root = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    await root.goto(shop.site.url('/admin/djaffar/activity/'));
    await root.fill('[name=username]', 'root');
    await root.fill('[name=password]', 'password of root');
    await root.click('[type=submit]');
    await expect(root.locator('#result_list tbody tr')).toHaveCount(4);
    await expect(root.locator('.field-short_page')).toHaveText(['/books/', 'basket/<b>', '/account/', '/']);
    await expect(root.locator('.field-who')).toHaveText(['ann', 'ann', 'ann', 'anonymous']);
    await expect(root.getByText('4 activities')).toBeVisible();
    expect(await root.content()).not.toContain(session);
    await root.screenshot({ path: join(TOOLS, 'client/results/admin-list.png') });

    await root.locator('.field-who a').first().click();
    await expect(root.locator('#result_list tbody tr')).toHaveCount(3);
    await root.locator('.field-browser_session a').first().click();
    await expect(root.locator('.field-short_page').first()).toHaveText('/books/');
    await root.fill('#searchbar', 'BASKET');
    await root.click('#changelist-search [type=submit]');
    await expect(root.locator('.field-short_page')).toHaveText(['basket/<b>']);
    await root.locator('.field-when a').click();
    await expect(root.locator('.field-user_agent')).toContainText('HeadlessChrome');
    await expect(root.locator('.field-page')).toContainText('basket/<b>');
    expect(await root.content()).not.toContain(session);
    await root.screenshot({ path: join(TOOLS, 'client/results/admin-row.png') });
    await root.close();
  } finally {
    await shop.close();
  }
});
