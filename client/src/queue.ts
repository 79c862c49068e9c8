/**
 * Keeps what is recorded until the server has acked it.
 *
 * Rule of safety: an activity leaves the queue only when an answer of the server
 * settles it, or when it is the oldest of too many; both are told. Whatever else
 * happens it is sent again with the same id and date, which counts once. Held by
 * `test/queue.test.ts` and the rounds of `test/browser/rounds.spec.ts`.
 */
import type { Activity, Queued } from './activity.js';
import { type Answer, type Errors, readAnswer } from './answer.js';
import { type Batch, FRESH_MS, isLeftToItsPage, takeBatch, type Waiting } from './batch.js';
import { retryDelay } from './retry.js';
import { keepNow, openStore, QUEUE_MAX, type Store } from './store.js';
import { alone, canKeepAlive, send, sendLast, type Token } from './transport.js';
import { within } from './within.js';

/** Why an activity was given up: too many waited, or the server refused it. */
export type Drop =
  | { readonly reason: 'full' }
  | { readonly reason: 'refused'; readonly status: number; readonly errors?: Errors | undefined };

/** What became of an activity. */
export type Outcome =
  /** It is on the server's disk and will be in the database once. */
  | { readonly outcome: 'accepted' }
  | ({ readonly outcome: 'dropped' } & Drop)
  /** By an option: it was never queued. */
  | { readonly outcome: 'skipped' };

export interface QueueOptions {
  readonly token?: Token | undefined;
  readonly onDrop?: ((activity: Activity, drop: Drop) => void) | undefined;
}

export interface Queue {
  /** Resolves once the activity is settled. */
  record(activity: Activity): Promise<Outcome>;
  /** Sends what waits, unless it is too early after a failure. */
  flush(): void;
  /** The network is back: only what the server asked for is still waited for. */
  flushNow(): void;
  /** The page is hidden or ends: sends what is not on its way, in a request that outlives it. */
  leave(isEnd: boolean): void;
  /** How many this page has given up. */
  dropped(): number;
}

/** Of a request: always within what the browser lets outlive its page, also beside another. */
const REQUEST_BYTES_MAX = 30_000;
/** Of all requests that outlive a page together (Fetch standard: 64 KiB). */
const KEPT_ALIVE_BYTES_MAX = 64_000;
const TOKEN_MS = 15_000;

interface Mine extends Waiting {
  readonly activity: Queued;
  readonly settle: (outcome: Outcome) => void;
  isStored: boolean;
}

/** `options` is read for each request: pages may set them later. */
export function createQueue(endpoint: string, options: QueueOptions): Queue {
  const url = `${endpoint}batch/`;
  const name = `djaffar ${endpoint}`;
  /** Recorded by this page and not settled: whatever the store does, these are not forgotten. */
  const mine = new Map<string, Mine>();
  let identity: string | undefined;
  /** The last that was sent; `undefined` before the first. */
  let token: string | null | undefined;
  let onItsWay: Batch | undefined;
  let isRunning = false;
  let runAgain = false;
  let failures = 0;
  let notBefore = 0;
  let isAsked = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let itemsMax = Infinity;
  let dropped = 0;

  const store: Promise<Store> = openStore(name).then(async (opened) => {
    identity ??= await opened.identity().catch(() => undefined);
    return opened;
  });

  function record(activity: Activity): Promise<Outcome> {
    return new Promise((settle) => {
      const entry: Mine = { activity: { ...activity }, recordedAt: Date.now(), settle, isStored: false };
      mine.set(activity.id, entry);
      void keep(entry);
      flush();
    });
  }

  async function keep(entry: Mine): Promise<void> {
    try {
      const pushedOut = await (await store).put(entry.activity, leaving());
      entry.isStored = true;
      pushedOut.forEach((activity) => forget(activity, { reason: 'full' }));
    } catch {
      // Full, broken or barred: it waits in the page.
      entry.activity.identity ??= identity;
      const waits = [...mine.values()].filter(({ activity }) => !leaving().has(activity.id));
      if (waits.length > QUEUE_MAX) {
        forget(waits[0]!.activity, { reason: 'full' });
      }
    }
  }

  /** Acked, or may be any moment: these are not given up. */
  function leaving(): ReadonlySet<string> {
    return new Set(onItsWay?.activities.map(({ id }) => id));
  }

  async function remove(ids: readonly string[]): Promise<void> {
    try {
      await (await store).remove(ids);
    } catch {
      // Sent again one day, and counted once.
    }
  }

  function forget(activity: Activity, drop: Drop): void {
    dropped += 1;
    settle(activity, { outcome: 'dropped', ...drop });
    const { identity: _, ...told } = activity as Queued;
    options.onDrop?.(told, drop);
  }

  function settle({ id }: Activity, outcome: Outcome): void {
    mine.get(id)?.settle(outcome);
    mine.delete(id);
  }

  function flush(): void {
    if (isRunning) {
      runAgain = true;
    } else if (Date.now() >= notBefore) {
      void run();
    }
  }

  async function run(): Promise<void> {
    isRunning = true;
    do {
      runAgain = false;
      // One page at a time, and so one first request of a new visitor.
      await alone(name, sendNext);
    } while (runAgain && Date.now() >= notBefore);
    isRunning = false;
  }

  async function sendNext(): Promise<void> {
    const batch = takeBatch(await waiting(), REQUEST_BYTES_MAX, itemsMax, Date.now());
    const { activities } = batch;
    if (activities.length === 0) {
      return;
    }
    onItsWay = batch;
    await conclude(activities, await ask(batch));
    onItsWay = undefined;
  }

  async function conclude(activities: readonly Activity[], answer: Answer): Promise<void> {
    if (answer.kind === 'later') {
      postpone(answer.afterMs);
      return;
    }
    failures = 0;
    runAgain = true;
    if (answer.kind === 'acked') {
      await acked(activities, answer);
    } else {
      const { status, errors } = answer.kind === 'refused' ? answer : { status: 401, errors: undefined };
      if (status === 413 && activities.length > 1) {
        itemsMax = activities.length >> 1;
        return;
      }
      activities.forEach((activity) => forget(activity, { reason: 'refused', status, errors }));
    }
    await remove(activities.map(({ id }) => id));
  }

  /** Of all pages, oldest first. */
  async function waiting(): Promise<Iterable<Waiting>> {
    const all = new Map<string, Waiting>();
    const opened = await store;
    for (const activity of await opened.all().catch(() => [])) {
      if (!isLeftToItsPage(activity, Date.now())) {
        all.set(activity.id, { activity, recordedAt: undefined });
      } else if (!mine.has(activity.id)) {
        clearTimeout(timer);
        timer = setTimeout(flush, FRESH_MS);
      }
    }
    mine.forEach((entry, id) => all.set(id, entry));
    return [...all.values()].sort((one, other) => (one.activity.id < other.activity.id ? -1 : 1));
  }

  async function ask({ activities, body, bytes }: Batch): Promise<Answer> {
    try {
      let answer: Answer;
      let isRefresh = false;
      do {
        token = (options.token && (await within(TOKEN_MS, options.token(isRefresh)))) || null;
        const response = await send(url, body, token, bytes <= KEPT_ALIVE_BYTES_MAX);
        answer = await readAnswer(response, activities.length, Date.now());
        isRefresh = !isRefresh;
      } while (answer.kind === 'unauthorized' && options.token && isRefresh);
      return answer;
    } catch {
      return { kind: 'later', afterMs: undefined };
    }
  }

  async function acked(activities: readonly Activity[], answer: Answer & { kind: 'acked' }): Promise<void> {
    activities.forEach((activity, index) => {
      const errors = answer.rejected.get(index);
      if (errors) {
        forget(activity, { reason: 'refused', status: 400, errors });
      } else {
        settle(activity, { outcome: 'accepted' });
      }
    });
    if (answer.identity !== undefined && answer.identity !== identity) {
      identity = answer.identity;
      await (await store).setIdentity(identity).catch(() => undefined);
    }
  }

  function postpone(askedMs: number | undefined): void {
    failures += 1;
    const delay = retryDelay(failures, askedMs, Math.random());
    isAsked = askedMs !== undefined;
    notBefore = Date.now() + delay;
    clearTimeout(timer);
    timer = setTimeout(() => {
      notBefore = 0;
      flush();
    }, delay);
  }

  function flushNow(): void {
    if (!isAsked) {
      notBefore = 0;
    }
    flush();
  }

  function leave(isEnd: boolean): void {
    const unkept = [...mine.values()].filter(({ isStored }) => !isStored);
    keepNow(name, unkept.map(({ activity }) => ({ ...activity, identity: activity.identity ?? identity })));
    const survives = leaving();
    const rest = [...mine.values()].filter(({ activity }) => !canKeepAlive || !survives.has(activity.id));
    // A new visitor's first request brings the cookie; one beside it would make a second session.
    const isFirstVisit = identity === undefined && isRunning;
    const isSafe = !isEnd || (onItsWay !== undefined && rest.every(({ isStored }) => isStored));
    if (rest.length === 0 || (isFirstVisit && isSafe)) {
      return;
    }
    const bytesMax = KEPT_ALIVE_BYTES_MAX - (onItsWay?.bytes ?? 0);
    const { body } = takeBatch(rest, bytesMax, Infinity, Date.now());
    // Without its token an activity would be stored as nobody's: better by a later page.
    if (!options.token || token !== undefined) {
      sendLast(url, body, token);
    }
  }

  return { record, flush, flushNow, leave, dropped: () => dropped };
}
