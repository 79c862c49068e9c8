import { describe, expect, test } from 'vitest';
import { cutPath, newActivity, newId } from '../src/activity';

describe('an activity', () => {
  test('has an id that is a UUIDv7 of its time', () => {
    const id = newId(0x0123_4567_89ab);
    expect(id).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(newId(1)).toMatch(/^00000000-0001-7/);
  });

  test('has ids that differ and sort by age', () => {
    const ids = Array.from({ length: 1000 }, (_, ms) => newId(1_700_000_000_000 + ms));
    expect(new Set(ids).size).toBe(1000);
    expect([...ids].sort()).toEqual(ids);
  });

  test('keeps the date that it is given, and else is of now', () => {
    expect(newActivity('a', undefined, '2016-12-29').date).toBe('2016-12-29');
    expect(newActivity('a', undefined, new Date(0)).date).toBe('1970-01-01T00:00:00.000Z');
    expect(Math.abs(Date.parse(newActivity('a', undefined, undefined).date) - Date.now())).toBeLessThan(10_000);
    expect('referer' in newActivity('a', '', undefined)).toBe(false);
  });

  test('is cut between characters', () => {
    expect(cutPath('😀'.repeat(1001))).toBe('😀'.repeat(1000));
    expect(cutPath('é'.repeat(1000))).toBe('é'.repeat(1000));
  });
});
