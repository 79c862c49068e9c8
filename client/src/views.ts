/** Which page the user looks at, in pages that change it themselves too. */
import { cutPath, cutReferer } from './activity.js';

export type Route = 'path' | 'hash';

export function currentPath(route: Route): string {
  const { pathname, search, hash } = location;
  return cutPath(route === 'hash' ? hash.slice(1) || '/' : pathname + search);
}

interface CurrentEntry extends EventTarget {
  readonly currentEntry: unknown;
}

/** Calls `view` now and for each change of the path. */
export function watchViews(route: Route, view: (path: string, referer: string) => void): void {
  let shown: string | undefined;
  let from = document.referrer;

  const look = (): void => {
    const path = currentPath(route);
    if (path !== shown) {
      view(path, cutReferer(from));
      shown = path;
    }
    from = location.href;
  };

  const { navigation } = window as { navigation?: CurrentEntry };
  if (navigation) {
    navigation.addEventListener('currententrychange', look);
  } else {
    for (const name of ['pushState', 'replaceState'] as const) {
      const original = history[name];
      history[name] = function (...state) {
        original.apply(this, state);
        look();
      };
    }
    addEventListener('popstate', look);
    addEventListener('hashchange', look);
  }
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) {
      shown = undefined;
      look();
    }
  });
  look();
}

/** Runs `work` once somebody sees the page: browsers load some in advance. */
export function whenActive(work: () => void): void {
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener('prerenderingchange', work, { once: true });
  } else {
    work();
  }
}
