import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { idle, Server, until } from './browser';

type Client = typeof import('../src/djaffar');

let server: Server;
let client: Client;
let page: EventTarget & { prerendering?: boolean; cookie: string; referrer: string; visibilityState: string };

beforeEach(async () => {
  server = new Server();
  page = Object.assign(new EventTarget(), { cookie: '', referrer: '', visibilityState: 'visible' });
  vi.stubGlobal('document', page);
  vi.stubGlobal('window', {});
  vi.stubGlobal('history', { pushState: () => undefined, replaceState: () => undefined });
  vi.stubGlobal('addEventListener', () => undefined);
  vi.resetModules();
  client = await import('../src/djaffar');
});

afterEach(idle);

const paths = (): string[] => server.requests.flatMap(({ items }) => items.map(({ path }) => path));

describe('init', () => {
  test('logs the page', async () => {
    client.init({ endpoint: '/log' });
    await until(() => server.requests.length === 1);
    expect(server.requests[0]!.url).toBe('https://shop.example/log/batch/');
    expect(paths()).toEqual(['/cart?page=2']);
  });

  test('logs nothing by itself when manual, until it is called again', async () => {
    client.init({ manual: true });
    await idle();
    expect(paths()).toEqual([]);
    expect(await client.log({ path: 'click' })).toEqual({ outcome: 'accepted' });
    client.init({ manual: false });
    client.init({});
    await until(() => paths().length === 2);
    expect(paths()).toEqual(['click', '/cart?page=2']);
  });

  test('waits until a page that was loaded in advance is seen', async () => {
    page.prerendering = true;
    client.init();
    const outcome = client.log({ path: 'early' });
    await idle();
    expect(server.requests).toEqual([]);
    page.prerendering = false;
    page.dispatchEvent(new Event('prerenderingchange'));
    expect(await outcome).toEqual({ outcome: 'accepted' });
    expect(paths().sort()).toEqual(['/cart?page=2', 'early']);
  });
});

describe('log', () => {
  test('takes the current page, or what it is told', async () => {
    await client.log();
    await client.log({ path: 'a', referer: 'b', date: '2016-12-29T07:35:22.571Z' });
    const [[one], [two]] = server.requests.map(({ items }) => items) as [[object], [object]];
    expect(one).toMatchObject({ path: '/cart?page=2', date: expect.stringMatching(/^20.*Z$/) as string });
    expect(two).toMatchObject({ path: 'a', referer: 'b', date: '2016-12-29T07:35:22.571Z' });
  });

  test('lets beforeSend change and drop', async () => {
    client.init({
      manual: true,
      beforeSend: (activity) => activity.path !== 'secret' && { ...activity, path: activity.path.toUpperCase() },
    });
    expect(await client.log({ path: 'secret' })).toEqual({ outcome: 'skipped' });
    expect(await client.log({ path: 'open' })).toEqual({ outcome: 'accepted' });
    expect(paths()).toEqual(['OPEN']);
  });

  test('tells of an error in beforeSend', async () => {
    client.init({ manual: true, beforeSend: () => { throw new Error('of the page'); } });
    await expect(client.log()).rejects.toThrow('of the page');
    expect(server.requests).toEqual([]);
  });

  test('counts what was given up', async () => {
    expect(client.dropped()).toBe(0);
    server.answers.push((request) => server.ack(request, [{ index: 0, errors: {} }]));
    expect(await client.log({ date: 'never' })).toMatchObject({ outcome: 'dropped' });
    expect(client.dropped()).toBe(1);
  });
});

describe.each([
  [{ globalPrivacyControl: true }],
  [{ doNotTrack: '1' }],
])('a browser that says %o', (signal) => {
  test('is heard when the site wants it', async () => {
    vi.stubGlobal('navigator', signal);
    client.init({ respectOptOut: true });
    expect(await client.log()).toEqual({ outcome: 'skipped' });
    expect(server.requests).toEqual([]);
    client.init({ respectOptOut: false, manual: true });
    expect(await client.log()).toEqual({ outcome: 'accepted' });
  });
});

describe('a sample', () => {
  test.each([[0, 'skipped'], [0.3, 'skipped'], [0.5, 'accepted'], [1, 'accepted']])('of %d is %s at 0.4', async (sample, outcome) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.4);
    client.init({ manual: true, sample });
    expect(await client.log()).toEqual({ outcome });
  });

  test('is drawn once a tab', async () => {
    const kept = new Map([['djaffar draw', '0.9']]);
    vi.stubGlobal('sessionStorage', { getItem: (key: string) => kept.get(key) ?? null, setItem: kept.set.bind(kept) });
    client.init({ manual: true, sample: 0.5 });
    expect(await client.log()).toEqual({ outcome: 'skipped' });
    expect(kept.get('djaffar draw')).toBe('0.9');
  });
});
