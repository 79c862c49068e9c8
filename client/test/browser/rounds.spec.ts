/**
 * Log ten things, then kill the tab, the network or the server at a random moment, then come back:
 * none is lost and none is doubled. FAULT_ROUNDS sets how many, FAULT_SEED repeats a run.
 */
import { type BrowserContext, type Page } from '@playwright/test';
import { cut, cutAnswer, expect, expectEmptyQueue, queued, record, serve, Site, test, html } from './harness';
import type { Djaffar, Row } from './harness/djaffar';
import { until } from './harness/process';

const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 10);
const SEED = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 2 ** 32));

interface World {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly site: Site;
  readonly djaffar: Djaffar;
  readonly random: () => number;
}

/** Each kills something after a while and mends it; the page may be gone afterwards. */
const FAULTS: Record<string, (world: World) => Promise<void>> = {
  'the tab is closed': ({ page }) => page.close(),
  'the tab is closed while the server is away': async ({ page, djaffar }) => {
    await djaffar.front.end('SIGKILL');
    await page.close();
    await djaffar.front.start();
  },
  'the tab crashes with a full queue': async ({ context, page, site }) => {
    site.fault = cut;
    await page.evaluate(() => void window.djaffar.log({ path: 'before the crash' }));
    await expect.poll(() => queued(page)).toBeGreaterThan(0);
    const session = await context.newCDPSession(page);
    const crashed = page.waitForEvent('crash');
    session.send('Page.crash').catch(() => undefined);
    await crashed;
    await page.close();
    site.fault = undefined;
  },
  'the browser is offline': async ({ context, random }) => {
    await context.setOffline(true);
    await pause(random() * 1500);
    await context.setOffline(false);
  },
  'the network cuts requests': async ({ site, random }) => {
    site.fault = cut;
    await pause(random() * 1500);
    site.fault = undefined;
  },
  'the network loses answers': async ({ site, random }) => {
    site.fault = cutAnswer;
    await pause(random() * 1500);
    site.fault = undefined;
  },
  'the server is killed': async ({ djaffar, random }) => {
    await djaffar.front.end('SIGKILL');
    await pause(random() * 500);
    await djaffar.front.start();
  },
};

test(`${ROUNDS} rounds of faults`, async ({ browser }) => {
  test.setTimeout(120_000 + ROUNDS * 60_000);
  console.log(`seed ${SEED}`);
  const random = generator(SEED);
  const djaffar = await serve();
  const site = await Site.start(djaffar.port);
  site.pages.set('*', html(''));
  const names = Object.keys(FAULTS);
  const counts: Record<string, number> = {};
  let logged = 0;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      // Each fault once before any comes again; then by chance.
      const fault = names[round < names.length ? round : Math.floor(random() * names.length)]!;
      counts[fault] = (counts[fault] ?? 0) + 1;
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(site.url(`/${round}/`));
      await page.waitForFunction(() => 'djaffar' in window);
      const things = Array.from({ length: 10 }, (_, number) => `${round}/${number}`);
      if (fault.includes('crash')) {
        // A crash asks no page: only what it has kept can be promised.
        site.fault = cut;
        await record(page, ...things);
        await expect.poll(() => queued(page)).toBeGreaterThanOrEqual(10);
      } else if (random() < 0.5) {
        // All ten at once, or one after the other while the fault comes.
        await record(page, ...things);
      } else {
        for (const thing of things) {
          await record(page, thing);
          await pause(random() * 20);
        }
      }
      await pause(random() < 0.3 ? 0 : random() * 200);
      await FAULTS[fault]!({ context, page, site, djaffar, random });
      const back = page.isClosed() ? await context.newPage() : page;
      await back.goto(site.url(`/${round}/back`));
      await expectEmptyQueue(back);
      logged += 12;
      await expectOnce(djaffar, round, fault, [`/${round}/`, `/${round}/back`, ...things]);
      await context.close();
    }
    const rows = (await djaffar.rows()).filter(({ path }) => path !== 'before the crash');
    const once = new Set(rows.map(({ id }) => id)).size;
    console.log(`${ROUNDS} rounds, seed ${SEED}: ${logged} logged, ${rows.length} stored, ${rows.length - once} doubled`);
    console.log(Object.entries(counts).map(([fault, count]) => `  ${count} x ${fault}`).join('\n'));
    expect(rows).toHaveLength(logged);
  } finally {
    site.stop();
    await djaffar.stop();
  }
});

async function expectOnce(djaffar: Djaffar, round: number, fault: string, paths: string[]): Promise<void> {
  const ofRound = (rows: Row[]): string[] =>
    rows.map(({ path }) => path).filter((path) => path.startsWith(`${round}/`) || path.startsWith(`/${round}/`)).sort();
  let stored: string[] = [];
  await until(`round ${round} to be stored`, 60_000, async () => {
    stored = ofRound(await djaffar.rows());
    return stored.length >= paths.length || undefined;
  }).catch(() => undefined);
  expect(stored, `round ${round}, ${fault}, seed ${SEED}`).toEqual([...paths].sort());
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
