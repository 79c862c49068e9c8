import { type Activity, newActivity } from './activity.js';
import { createQueue, type Outcome, type Queue, type QueueOptions } from './queue.js';
import { currentPath, type Route, watchViews, whenActive } from './views.js';

export interface Options extends QueueOptions {
  /** Where ingest is, with its base path; default `/djaffar/`. The first `init` or `log` decides. */
  readonly endpoint?: string | undefined;
  /** What a page is called: its path and query, or what follows `#`. */
  readonly route?: Route | undefined;
  /** Log no page views by itself. */
  readonly manual?: boolean | undefined;
  /** The share of visits that are logged, from 0 to 1: all activities of a tab, or none. */
  readonly sample?: number | undefined;
  /** Log nothing where the browser says Global Privacy Control or Do Not Track. */
  readonly respectOptOut?: boolean | undefined;
  /** Called when an activity is recorded, before it is kept anywhere: may return another, or nothing to drop it. */
  readonly beforeSend?: ((activity: Activity) => Activity | null | undefined | false) | undefined;
}

export interface Log {
  /** Default: the current page's. */
  readonly path?: string | undefined;
  readonly referer?: string | undefined;
  /** Default: now. */
  readonly date?: Date | string | undefined;
}

const options: Options = {};
let queue: Queue | undefined;
let isWatching = false;

/** Starts, or adds to the options; page views are logged from the first call that does not say `manual`. */
export function init(more: Options = {}): void {
  Object.assign(options, more);
  if (isOptedOut()) {
    return;
  }
  whenActive(() => {
    started().flush();
    if (!options.manual && !isWatching) {
      isWatching = true;
      watchViews(options.route ?? 'path', (path, referer) => void log({ path, referer }));
    }
  });
}

/** Records an activity; the promise tells what became of it. Rejects only when `beforeSend` throws. */
export function log({ path, referer, date }: Log = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    whenActive(() => {
      try {
        const made = newActivity(path ?? currentPath(options.route ?? 'path'), referer, date);
        const activity = !isOptedOut() && isSampled() && (options.beforeSend ? options.beforeSend(made) : made);
        resolve(activity ? started().record(activity) : { outcome: 'skipped' });
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

/** How many activities this page has given up; `onDrop` tells each. */
export function dropped(): number {
  return queue?.dropped() ?? 0;
}

function started(): Queue {
  if (!queue) {
    const { href } = new URL(options.endpoint ?? '/djaffar/', location.href);
    const opened = createQueue(href.replace(/\/*$/, '/'), options);
    queue = opened;
    addEventListener('online', opened.flushNow);
    addEventListener('pagehide', () => opened.leave(true));
    addEventListener('pageshow', opened.flush);
    document.addEventListener('visibilitychange', () =>
      document.visibilityState === 'hidden' ? opened.leave(false) : opened.flush(),
    );
  }
  return queue;
}

function isOptedOut(): boolean {
  const { globalPrivacyControl, doNotTrack } = navigator as Navigator & {
    globalPrivacyControl?: boolean;
    doNotTrack?: string | null;
  };
  return !!options.respectOptOut && (globalPrivacyControl === true || doNotTrack === '1');
}

/** Drawn once a tab, so that a visit is logged whole or not at all. */
let draw: number | undefined;
function isSampled(): boolean {
  if (options.sample === undefined) {
    return true;
  }
  if (draw === undefined) {
    draw = Math.random();
    try {
      const key = 'djaffar draw';
      draw = Number(sessionStorage.getItem(key) ?? draw);
      sessionStorage.setItem(key, String(draw));
    } catch {
      // Then the draw is the page's.
    }
  }
  return draw < options.sample;
}
