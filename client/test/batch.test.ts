import { describe, expect, test } from 'vitest';
import { newId } from '../src/activity';
import { isLeftToItsPage, takeBatch, type Waiting } from '../src/batch';

const NOW = 1_000_000;

function waiting(id: string, recordedAt?: number, identity?: string, path = 'a'): Waiting {
  return { activity: { id, date: 'now', path, ...(identity ? { identity } : {}) }, recordedAt };
}

function items(body: string): { id: string; identity?: string }[] {
  return JSON.parse(body) as { id: string }[];
}

describe('a batch', () => {
  test('takes no more than fits, oldest first', () => {
    const all = ['1', '2', '3', '4'].map((id) => waiting(id, NOW));
    const whole = takeBatch(all, 1000, Infinity, NOW);
    expect(items(whole.body).map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
    const half = takeBatch(all, whole.bytes / 2 + 2, Infinity, NOW);
    expect(half.activities.map(({ id }) => id)).toEqual(['1', '2']);
    expect(takeBatch(all, 1000, 3, NOW).activities).toHaveLength(3);
  });

  test('counts bytes, not characters', () => {
    const { bytes, body } = takeBatch([waiting('1', NOW, undefined, 'é😀')], 1000, Infinity, NOW);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(bytes);
    expect(bytes - Buffer.byteLength(body)).toBeLessThan(3);
  });

  test('never has more than the server takes', () => {
    const many = Array.from({ length: 1100 }, (_, id) => waiting(String(id), NOW));
    expect(takeBatch(many, 1_000_000, Infinity, NOW).activities).toHaveLength(1000);
  });

  test('is never empty while something waits', () => {
    expect(takeBatch([waiting('1', NOW, undefined, 'a'.repeat(500))], 100, Infinity, NOW).activities).toHaveLength(1);
    expect(takeBatch([], 100, Infinity, NOW).activities).toHaveLength(0);
  });
});

describe('whose an activity is said to be', () => {
  const identity = (one: Waiting): string | undefined => items(takeBatch([one], 1000, Infinity, NOW).body)[0]!.identity;

  test('is left to the server while it is fresh: the page may have logged in just before', () => {
    expect(identity(waiting('1', NOW - 9_000, 'before'))).toBeUndefined();
  });

  test('is who the browser was then, once it is not', () => {
    expect(identity(waiting('1', NOW - 11_000, 'ann'))).toBe('ann');
    expect(identity(waiting('1', NOW + 11_000, 'ann'))).toBe('ann');
  });

  test('is who the browser was then, if another page recorded it', () => {
    expect(identity(waiting('1', undefined, 'ann'))).toBe('ann');
  });

  test('is nobody, if nothing was known then', () => {
    expect(identity(waiting('1', undefined))).toBe('unknown');
    expect(identity(waiting('1', NOW - 11_000))).toBe('unknown');
  });

  test('can for some time only be told by its page, where nothing was known then', () => {
    const recorded = (age: number, identity?: string): Waiting => waiting(newId(NOW - age), undefined, identity);
    expect(isLeftToItsPage(recorded(9_000).activity, NOW)).toBe(true);
    expect(isLeftToItsPage(recorded(11_000).activity, NOW)).toBe(false);
    expect(isLeftToItsPage(recorded(9_000, 'ann').activity, NOW)).toBe(false);
  });
});
