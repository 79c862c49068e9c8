import 'fake-indexeddb/auto';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Queued } from '../src/activity';
import { openStore, QUEUE_MAX, type Store } from '../src/store';
import { openIndexedDb } from '../src/store/indexed_db';
import { openLocalStorage } from '../src/store/local_storage';
import { nowhere } from '../src/store/nowhere';
import { fakeStorage } from './browser';

let names = 0;
const none = new Set<string>();
const activity = (id: string): Queued => ({ id, date: 'now', path: 'a' });
const numbered = (number: number): Queued => activity(String(number).padStart(6, '0'));

describe.each([
  ['IndexedDB', (name: string) => openIndexedDb(name)],
  ['localStorage', async (name: string) => openLocalStorage(name)],
])('the queue in %s', (_, open) => {
  let store: Store;
  let name: string;

  beforeEach(async () => {
    vi.stubGlobal('localStorage', fakeStorage());
    name = `test ${(names += 1)}`;
    store = await open(name);
  });

  test('is the same for another page, oldest first', async () => {
    await store.put(activity('2'), none);
    await store.put(activity('1'), none);
    const ids = (await (await open(name)).all()).map(({ id }) => id);
    expect(ids).toEqual(['1', '2']);
    expect(await (await open(`${name} of another`)).all()).toEqual([]);
  });

  test('notes who the browser was', async () => {
    const before = activity('1');
    await store.put(before, none);
    await store.setIdentity('ann');
    const after = activity('2');
    await store.put(after, none);
    expect([before.identity, after.identity]).toEqual([undefined, 'ann']);
    expect((await store.all())[1]).toEqual({ ...activity('2'), identity: 'ann' });
    expect(await (await open(name)).identity()).toBe('ann');
  });

  test('forgets what is removed', async () => {
    await store.put(activity('1'), none);
    await store.put(activity('2'), none);
    await store.remove(['1', 'never there']);
    expect((await store.all()).map(({ id }) => id)).toEqual(['2']);
  });

  test('puts a retried activity in once', async () => {
    await store.put(activity('1'), none);
    await store.put(activity('1'), none);
    expect(await store.all()).toHaveLength(1);
  });

  test('is bounded: the oldest go, but none that is spared', async () => {
    const spared = new Set([1, 2].map((number) => numbered(number).id));
    const pushedOut: string[] = [];
    for (let number = 0; number < QUEUE_MAX + 5; number += 1) {
      pushedOut.push(...(await store.put(numbered(number), spared)).map(({ id }) => id));
    }
    expect(pushedOut).toEqual([0, 3, 4].map((number) => numbered(number).id));
    expect(await store.all()).toHaveLength(QUEUE_MAX + spared.size);
  });
});

describe('a browser', () => {
  test('without IndexedDB keeps the queue in localStorage', async () => {
    const storage = fakeStorage();
    vi.stubGlobal('localStorage', storage);
    vi.stubGlobal('indexedDB', undefined);
    await (await openStore('one')).put(activity('1'), none);
    expect(Object.keys(storage)).toEqual(['one queue 1']);
  });

  test('whose IndexedDB comes back takes along what localStorage has', async () => {
    vi.stubGlobal('localStorage', fakeStorage());
    const second = openLocalStorage('four');
    await second.put(activity('1'), none);
    await second.setIdentity('ann');
    await second.put(activity('2'), none);
    const best = await openIndexedDb('four');
    await best.setIdentity('ben');
    const identities = (await (await openStore('four')).all()).map(({ identity }) => identity);
    expect(identities).toEqual(['unknown', 'ann']);
    expect(await second.all()).toEqual([]);
  });

  test('that bars storage keeps the queue in the page', async () => {
    vi.stubGlobal('indexedDB', undefined);
    vi.stubGlobal('localStorage', undefined);
    expect(await openStore('two')).toBe(nowhere);
  });

  test('that never opens IndexedDB is not waited for', async () => {
    vi.useFakeTimers();
    vi.stubGlobal('localStorage', undefined);
    vi.stubGlobal('indexedDB', { open: () => ({}) });
    const opening = openStore('three');
    await vi.advanceTimersByTimeAsync(3000);
    expect(await opening).toBe(nowhere);
    vi.useRealTimers();
  });
});
