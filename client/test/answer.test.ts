import { describe, expect, test } from 'vitest';
import { readAnswer } from '../src/answer';
import { json } from './browser';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const read = (response: Response): ReturnType<typeof readAnswer> => readAnswer(response, 2, NOW);

describe('an answer', () => {
  test('acks what it counts and does not name', async () => {
    const report = { accepted: 1, rejected: [{ index: 1, errors: { date: ['no'] } }] };
    const expected = { kind: 'acked', rejected: new Map([[1, { date: ['no'] }]]), identity: 'ann' };
    expect(await read(json(200, report, { 'Djaffar-Identity': 'ann' }))).toEqual(expected);
  });

  test('may reject each activity by name', async () => {
    const rejected = [0, 1].map((index) => ({ index, errors: { date: ['no'] } }));
    expect(await read(json(400, { accepted: 0, rejected }))).toMatchObject({ kind: 'acked', rejected: { size: 2 } });
  });

  test.each([
    ['the page of a captive portal', new Response('<h1>Welcome</h1>')],
    ['JSON of somebody else', json(200, { accepted: true })],
    ['a sum that is not ours', json(200, { accepted: 1, rejected: [] })],
    ['nothing', new Response(null, { status: 204 })],
    ['null', json(200, null)],
  ])('that is %s acks nothing', async (_, response) => {
    expect(await read(response)).toEqual({ kind: 'later', afterMs: undefined });
  });

  test.each([400, 403, 413, 415, 422])('%i is final', async (status) => {
    expect(await read(json(status, { detail: 'no' }))).toEqual({ kind: 'refused', status, errors: { detail: 'no' } });
    expect(await read(new Response('no', { status }))).toEqual({ kind: 'refused', status, errors: undefined });
  });

  test('401 asks for another token', async () => {
    expect(await read(json(401, {}))).toEqual({ kind: 'unauthorized' });
  });

  test.each([302, 404, 408, 429, 500, 502, 503, 504])('%i is tried again', async (status) => {
    expect(await read(json(status, { detail: 'no' }))).toEqual({ kind: 'later', afterMs: undefined });
  });

  test.each([
    ['7', 7000],
    ['0', 0],
    ['Wed, 25 Nov 2026 12:00:30 GMT', 30_000],
    ['Wed, 25 Nov 2026 11:00:00 GMT', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('with Retry-After "%s" waits for %s ms', async (text, afterMs) => {
    expect(await read(json(503, {}, { 'Retry-After': text }))).toEqual({ kind: 'later', afterMs });
  });

  test('429 waits as long as the rate limit says', async () => {
    expect(await read(json(429, {}, { 'Retry-After': '90' }))).toEqual({ kind: 'later', afterMs: 90_000 });
  });
});
