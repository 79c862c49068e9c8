import { describe, expect, test } from 'vitest';
import { retryDelay } from '../src/retry';

describe('the wait before a retry', () => {
  test('doubles up to five minutes', () => {
    expect([1, 2, 3, 4].map((failures) => retryDelay(failures, undefined, 1))).toEqual([1000, 2000, 4000, 8000]);
    expect(retryDelay(50, undefined, 1)).toBe(300_000);
    expect(retryDelay(5000, undefined, 1)).toBe(300_000);
  });

  test('is jittered', () => {
    expect(retryDelay(3, undefined, 0)).toBe(2000);
    expect(retryDelay(3, undefined, 0.5)).toBe(3000);
  });

  test('is never shorter than what the server asks for', () => {
    expect(retryDelay(1, 30_000, 0)).toBe(30_000);
    expect(retryDelay(1, 30_000, 1)).toBe(31_000);
    expect(retryDelay(10, 1000, 0)).toBe(150_000);
    expect(retryDelay(1, 0, 1)).toBe(1000);
  });

  test('is an hour at most', () => {
    expect(retryDelay(1, 1e12, 0)).toBe(3_600_000);
  });
});
