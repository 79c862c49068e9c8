/** As much of a browser as the queue needs, and a server that answers as told. */
import 'fake-indexeddb/auto';
import { vi } from 'vitest';
import type { Activity } from '../src/activity';

export interface Request {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly keepalive: boolean;
  readonly items: (Activity & { identity?: string })[];
}

type Answer = Response | Error | ((request: Request) => Promise<Response> | Response);

/** Acks whatever it has no other answer for. */
export class Server {
  readonly requests: Request[] = [];
  readonly beacons: string[] = [];
  readonly answers: Answer[] = [];
  identity = 'somebody';

  constructor() {
    vi.stubGlobal('location', new URL('https://shop.example/cart?page=2'));
    vi.stubGlobal('document', { cookie: '', visibilityState: 'visible' });
    vi.stubGlobal('navigator', { sendBeacon: (_: string, body: string) => this.beacons.push(body) > 0 });
    vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
      const request: Request = {
        url,
        headers: init.headers as Record<string, string>,
        keepalive: init.keepalive ?? false,
        items: JSON.parse(init.body as string) as Activity[],
      };
      this.requests.push(request);
      const answer = this.answers.shift() ?? this.ack(request);
      if (answer instanceof Error) {
        throw answer;
      }
      return typeof answer === 'function' ? answer(request) : answer;
    });
  }

  ack({ items }: Request, rejected: { index: number; errors: object }[] = []): Response {
    return json(200, { accepted: items.length - rejected.length, rejected }, { 'Djaffar-Identity': this.identity });
  }

  /** The ids of each request. */
  ids(): string[][] {
    return this.requests.map(({ items }) => items.map(({ id }) => id));
  }
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

/** Lets everything go on that does not wait for the clock. */
export async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns += 1) {
    if (turns > 5000) {
      throw new Error(`never came true: ${holds.toString()}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** As long as anything that should not happen would need. */
export async function idle(): Promise<void> {
  for (let turns = 0; turns < 100; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A `localStorage`: its keys are enumerable, as a browser's are. */
export function fakeStorage(): Storage {
  const methods = {
    getItem: (key: string) => (Object.hasOwn(storage, key) ? storage[key] : null),
    setItem: (key: string, value: string) => void (storage[key] = value),
    removeItem: (key: string) => void delete storage[key],
  };
  const storage = Object.create(methods) as Record<string, string>;
  return storage as unknown as Storage;
}
