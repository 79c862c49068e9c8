import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Activity, newActivity } from '../src/activity';
import { createQueue, type Drop, type Queue, type QueueOptions } from '../src/queue';
import { openStore } from '../src/store';
import { openIndexedDb } from '../src/store/indexed_db';
import { fakeStorage, idle, json, Server, until } from './browser';

let server: Server;
let endpoint: string;
let count = 0;

const activity = (path = 'a'): Activity => newActivity(path, undefined, undefined);
const open = (options: QueueOptions = {}): Queue => createQueue(endpoint, options);
const stored = async (): Promise<string[]> =>
  (await (await openIndexedDb(`djaffar ${endpoint}`)).all()).map(({ id }) => id);
const unavailable = (headers = {}): Response => json(503, { detail: 'Try again.' }, headers);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  server = new Server();
  endpoint = `https://shop.example/${(count += 1)}/`;
});

afterEach(async () => {
  // What goes on must not meet the server of the next test.
  await idle();
  vi.useRealTimers();
});

describe('the queue', () => {
  test('sends what is recorded and forgets it when it is acked', async () => {
    const one = activity();
    expect(await open().record(one)).toEqual({ outcome: 'accepted' });
    expect(server.requests).toMatchObject([{ url: `${endpoint}batch/`, items: [one], keepalive: true }]);
    await idle();
    expect(await stored()).toEqual([]);
  });

  test('gathers while a request is on its way', async () => {
    let answer = (_: Response): void => undefined;
    server.answers.push(() => new Promise((resolve) => (answer = resolve)));
    const queue = open();
    const all = Array.from({ length: 100 }, () => activity());
    const first = queue.record(all[0]!);
    await until(() => server.requests.length === 1);
    const rest = all.slice(1).map((one) => queue.record(one));
    await idle();
    expect(server.requests).toHaveLength(1);
    answer(server.ack(server.requests[0]!));
    expect(await Promise.all([first, ...rest])).toEqual(all.map(() => ({ outcome: 'accepted' })));
    expect(server.requests).toHaveLength(2);
    expect(new Set(server.ids().flat())).toEqual(new Set(all.map(({ id }) => id)));
  });

  test('keeps what is not acked', async () => {
    server.answers.push(new TypeError('offline'));
    const one = activity();
    void open().record(one);
    await until(() => server.requests.length === 1);
    await idle();
    expect(await stored()).toEqual([one.id]);
  });

  test('sends what another page left, with the same id and date', async () => {
    const [known, unknown] = [{ ...activity(), identity: 'ann' }, activity()];
    const left = await openIndexedDb(`djaffar ${endpoint}`);
    await left.put(known, new Set());
    await left.put({ ...unknown }, new Set());
    open().flush();
    await until(() => server.requests.length === 1);
    await idle();
    // Its page may still be there and say whose the other is.
    expect(server.requests.map(({ items }) => items)).toEqual([[known]]);
    await vi.advanceTimersByTimeAsync(10_000);
    await until(() => server.requests.length === 2);
    expect(server.requests[1]!.items).toEqual([{ ...unknown, identity: 'unknown' }]);
    await idle();
    expect(await stored()).toEqual([]);
  });

  test('tells what is refused and keeps the rest', async () => {
    const drops: [string, Drop][] = [];
    const queue = open({ onDrop: ({ path }, drop) => drops.push([path, drop]) });
    server.answers.push((request) => server.ack(request, [{ index: 0, errors: { date: ['no'] } }]));
    const outcome = await queue.record(activity('bad'));
    const drop = { reason: 'refused', status: 400, errors: { date: ['no'] } };
    expect(outcome).toEqual({ outcome: 'dropped', ...drop });
    expect(drops).toEqual([['bad', drop]]);
    expect(queue.dropped()).toBe(1);
    expect(await queue.record(activity('good'))).toEqual({ outcome: 'accepted' });
    await idle();
    expect(await stored()).toEqual([]);
  });

  test.each([400, 403, 413, 415, 422])('drops on %i and does not retry', async (status) => {
    const onDrop = vi.fn();
    server.answers.push(json(status, { detail: 'no' }));
    const outcome = await open({ onDrop }).record(activity());
    expect(outcome).toEqual({ outcome: 'dropped', reason: 'refused', status, errors: { detail: 'no' } });
    expect(onDrop).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(server.requests).toHaveLength(1);
    expect(await stored()).toEqual([]);
  });

  test('halves a batch that is too large for something on the way', async () => {
    const queue = open();
    const all = Array.from({ length: 8 }, () => activity());
    server.answers.push(json(413, {}));
    expect(await Promise.all(all.map((one) => queue.record(one)))).toEqual(all.map(() => ({ outcome: 'accepted' })));
    expect(server.requests.map(({ items }) => items.length)).toEqual([8, 4, 4]);
  });

  test('splits by bytes', async () => {
    const queue = open();
    const all = Array.from({ length: 60 }, () => activity('p'.repeat(1000)));
    await Promise.all(all.map((one) => queue.record(one)));
    expect(server.requests.length).toBeGreaterThan(1);
    expect(server.requests.every(({ items }) => JSON.stringify(items).length <= 30_000)).toBe(true);
    expect(server.ids().flat().sort()).toEqual(all.map(({ id }) => id).sort());
  });
});

describe('after a failure', () => {
  test('it waits longer each time, with jitter, and then goes on', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    server.answers.push(unavailable(), new TypeError('offline'), unavailable());
    const outcome = open().record(activity());
    for (const [attempts, wait] of [[1, 1000], [2, 2000], [3, 4000]] as const) {
      await until(() => server.requests.length === attempts);
      await idle();
      await vi.advanceTimersByTimeAsync(wait - 1);
      await idle();
      expect(server.requests).toHaveLength(attempts);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });

  test('new activities do not hurry it', async () => {
    server.answers.push(unavailable());
    const queue = open();
    void queue.record(activity());
    await until(() => server.requests.length === 1);
    await idle();
    void queue.record(activity());
    queue.flush();
    await idle();
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    await until(() => server.requests.length === 2);
    expect(server.requests[1]!.items).toHaveLength(2);
  });

  test('it waits as long as the server asks, also when the network comes back', async () => {
    server.answers.push(unavailable({ 'Retry-After': '30' }));
    const queue = open();
    const outcome = queue.record(activity());
    await until(() => server.requests.length === 1);
    await idle();
    await vi.advanceTimersByTimeAsync(29_999);
    queue.flushNow();
    await idle();
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1001);
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });

  test('it goes on at once when the network is back', async () => {
    server.answers.push(...Array.from({ length: 5 }, () => new TypeError('offline')));
    const queue = open();
    const outcome = queue.record(activity());
    for (let attempts = 1; attempts < 6; attempts += 1) {
      await until(() => server.requests.length === attempts);
      await idle();
      queue.flushNow();
    }
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });

  test('an answer that never comes is given up', async () => {
    vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) => new Promise((_, reject) => {
      signal!.addEventListener('abort', () => reject(new Error('aborted')));
    }));
    const outcome = open().record(activity());
    await idle();
    await vi.advanceTimersByTimeAsync(15_000);
    await idle();
    server = new Server();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });
});

describe('more than a thousand', () => {
  test('push out the oldest, which are told and counted', async () => {
    server.answers.push(...Array.from({ length: 10 }, () => new TypeError('offline')));
    const drops: string[] = [];
    const queue = open({ onDrop: ({ path }, { reason }) => drops.push(`${path} ${reason}`) });
    const outcomes: Promise<unknown>[] = [];
    for (let number = 0; number < 1003; number += 1) {
      outcomes.push(queue.record(activity(String(number))));
      vi.advanceTimersByTime(1);
    }
    await until(() => drops.length >= 3);
    for (let rest = 0; rest < 30; rest += 1) {
      await idle();
    }
    expect(drops).toEqual(['0 full', '1 full', '2 full']);
    expect(queue.dropped()).toBe(3);
    expect(await outcomes[0]).toEqual({ outcome: 'dropped', reason: 'full' });
    expect(await stored()).toHaveLength(1000);
  });

  test('are bounded too where nothing is kept', async () => {
    vi.stubGlobal('indexedDB', undefined);
    server.answers.push(...Array.from({ length: 10 }, () => new TypeError('offline')));
    const queue = open();
    for (let number = 0; number < 1003; number += 1) {
      void queue.record(activity(String(number)));
    }
    await idle();
    expect(queue.dropped()).toBe(3);
  });
});

describe('what is on its way', () => {
  test('is never given up for what comes after', async () => {
    let answer = (_: Response): void => undefined;
    server.answers.push(() => new Promise((resolve) => (answer = resolve)));
    const onDrop = vi.fn();
    const queue = open({ onDrop });
    const first = queue.record(activity());
    await until(() => server.requests.length === 1);
    const outcomes: Promise<unknown>[] = [];
    for (let number = 0; number < 1000; number += 1) {
      vi.advanceTimersByTime(1);
      outcomes.push(queue.record(activity()));
    }
    for (let rest = 0; rest < 30; rest += 1) {
      await idle();
    }
    answer(server.ack(server.requests[0]!));
    expect(await Promise.all([first, ...outcomes])).toEqual(Array.from({ length: 1001 }, () => ({ outcome: 'accepted' })));
    expect(onDrop).not.toHaveBeenCalled();
  });
});

describe('a token', () => {
  test('goes along, and is asked for anew after a 401', async () => {
    const token = vi.fn(async (isRefresh: boolean) => (isRefresh ? 'new' : 'old'));
    server.answers.push(json(401, {}));
    expect(await open({ token }).record(activity())).toEqual({ outcome: 'accepted' });
    expect(server.requests.map(({ headers }) => headers.Authorization)).toEqual(['Bearer old', 'Bearer new']);
    expect(server.ids()[0]).toEqual(server.ids()[1]);
  });

  test('that is refused twice drops', async () => {
    server.answers.push(json(401, {}), json(401, {}));
    expect(await open({ token: () => 'bad' }).record(activity())).toMatchObject({ outcome: 'dropped', status: 401 });
    expect(server.requests).toHaveLength(2);
  });

  test('is optional: 401 without one drops at once', async () => {
    server.answers.push(json(401, {}));
    expect(await open().record(activity())).toMatchObject({ outcome: 'dropped', status: 401 });
    expect(server.requests).toHaveLength(1);
  });

  test('that cannot be had now is asked for later', async () => {
    const token = vi.fn(() => 'good').mockImplementationOnce(() => { throw new Error('offline'); });
    const outcome = open({ token }).record(activity());
    await until(() => token.mock.calls.length === 1);
    await idle();
    expect(server.requests).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });

  test('is left out for a visitor who has none', async () => {
    await open({ token: () => null }).record(activity());
    expect(server.requests[0]!.headers).toEqual({});
  });
});

describe("Django's CSRF token", () => {
  test('goes along where the cookie can be read', async () => {
    vi.stubGlobal('document', { cookie: 'a=b; csrftoken=secret; c=d' });
    await open().record(activity());
    expect(server.requests[0]!.headers).toEqual({ 'X-CSRFToken': 'secret' });
  });

  test('never goes to another origin', async () => {
    vi.stubGlobal('document', { cookie: 'csrftoken=secret' });
    endpoint = `https://log.example/${count}/`;
    await open().record(activity());
    expect(server.requests[0]!.headers).toEqual({});
  });
});

describe('whose an activity is', () => {
  test("is noted with it, and ann's never become ben's", async () => {
    server.identity = 'ann';
    const ann = open();
    await ann.record(activity('first'));
    await idle();
    server.answers.push(new TypeError('offline'));
    void ann.record(activity('offline'));
    await until(() => server.requests.length === 2);
    await idle();
    server.identity = 'ben';
    vi.advanceTimersByTime(1);
    const ben = open();
    await ben.record(activity('of ben'));
    expect(server.requests[2]!.items).toMatchObject([{ path: 'offline', identity: 'ann' }, { path: 'of ben' }]);
    expect(server.requests[2]!.items[1]!.identity).toBeUndefined();
  });

  test('is noted also in a page that has waited for long', async () => {
    server.identity = 'ann';
    const queue = open();
    await queue.record(activity('first'));
    server.answers.push(new TypeError('offline'));
    const outcome = queue.record(activity('offline'));
    await until(() => server.requests.length === 2);
    await idle();
    vi.setSystemTime(Date.now() + 60_000);
    queue.flushNow();
    await outcome;
    expect(server.requests[2]!.items).toMatchObject([{ path: 'offline', identity: 'ann' }]);
  });
});

describe('leaving', () => {
  test('sends what waits and keeps it until it is acked', async () => {
    server.answers.push(unavailable());
    const queue = open();
    const all = [activity(), activity()];
    all.forEach((one) => void queue.record(one));
    await until(() => server.requests.length === 1);
    await idle();
    queue.leave(true);
    expect(server.ids()[1]).toEqual(all.map(({ id }) => id));
    expect(server.requests[1]!.keepalive).toBe(true);
    await idle();
    expect((await stored()).sort()).toEqual(all.map(({ id }) => id).sort());
  });

  test('sends what has not even been kept yet', async () => {
    const queue = open();
    const one = activity();
    void queue.record(one);
    queue.leave(true);
    expect(server.ids()).toEqual([[one.id]]);
  });

  test('keeps what the store has not yet, and the next page takes it along', async () => {
    const kept = fakeStorage();
    vi.stubGlobal('localStorage', kept);
    server.answers.push(...Array.from({ length: 20 }, () => new TypeError('offline')));
    const queue = open();
    const one = activity();
    void queue.record(one);
    queue.leave(true);
    expect(Object.keys(kept)).toEqual([`djaffar ${endpoint} queue ${one.id}`]);
    await idle();
    const next = await openStore(`djaffar ${endpoint}`);
    expect((await next.all()).map(({ id }) => id)).toEqual([one.id]);
    expect(Object.keys(kept)).toEqual([]);
  });

  test('sends nothing when nothing waits', async () => {
    const queue = open();
    await queue.record(activity());
    queue.leave(true);
    expect(server.requests).toHaveLength(1);
  });

  test("leaves a new visitor's second request to the next page while the first has no cookie yet", async () => {
    server.answers.push(() => new Promise(() => undefined));
    const queue = open();
    void queue.record(activity());
    await until(() => server.requests.length === 1);
    const second = activity();
    void queue.record(second);
    await idle();
    queue.leave(true);
    expect(server.requests).toHaveLength(1);
    expect(await stored()).toContain(second.id);
  });

  test('sends nothing without its token: it would be stored as nobody\'s', async () => {
    const queue = open({ token: () => new Promise(() => undefined) });
    void queue.record(activity());
    await idle();
    queue.leave(true);
    expect(server.requests).toHaveLength(0);
    const asked = open({ token: () => 'good' });
    await asked.record(activity());
    server.answers.push(unavailable());
    void asked.record(activity());
    await until(() => server.requests.length === 2);
    await idle();
    asked.leave(true);
    expect(server.requests[2]!.headers.Authorization).toBe('Bearer good');
  });

  test('takes a beacon where requests end with their page, also for what is on its way', async () => {
    vi.stubGlobal('Request', class {});
    vi.resetModules();
    const older = await import('../src/queue');
    const queue = older.createQueue(endpoint, {});
    await queue.record(activity());
    server.answers.push(() => new Promise(() => undefined));
    const one = activity();
    void queue.record(one);
    await until(() => server.requests.length === 2);
    await idle();
    queue.leave(true);
    expect(server.beacons.map((body) => JSON.parse(body) as unknown)).toEqual([[one]]);
    const withToken = older.createQueue(endpoint, { token: () => 'good' });
    void withToken.record(activity());
    await until(() => server.requests.length === 3);
    withToken.leave(true);
    expect(server.beacons).toHaveLength(1);
  });

  test('does not hurry a new visitor whose page is only hidden', async () => {
    const queue = open();
    const outcome = queue.record(activity());
    queue.leave(false);
    expect(server.requests).toHaveLength(0);
    expect(await outcome).toEqual({ outcome: 'accepted' });
  });

  test('stays within what may outlive the page, with what is on its way', async () => {
    const queue = open();
    await queue.record(activity());
    server.answers.push(() => new Promise(() => undefined));
    Array.from({ length: 200 }, () => void queue.record(activity('p'.repeat(1000))));
    await until(() => server.requests.length === 2);
    await idle();
    queue.leave(true);
    const bytes = server.requests.slice(1).map(({ items }) => JSON.stringify(items).length);
    expect(bytes).toHaveLength(2);
    expect(bytes[0]! + bytes[1]!).toBeLessThanOrEqual(65_536);
    expect(bytes[0]! + bytes[1]!).toBeGreaterThan(60_000);
  });
});
