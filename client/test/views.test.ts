import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type Route, watchViews, whenActive } from '../src/views';

/** A window whose address a test can change, with the Navigation API or without. */
class Page extends EventTarget {
  readonly history: Pick<History, 'pushState' | 'replaceState'>;
  readonly navigation: EventTarget | undefined;
  readonly views: [string, string][] = [];

  constructor(address: string, hasNavigation: boolean) {
    super();
    this.navigation = hasNavigation ? new EventTarget() : undefined;
    const change = (_: unknown, __: string, to?: string | URL | null): void => this.go(String(to ?? ''));
    this.history = { pushState: change, replaceState: change };
    vi.stubGlobal('window', { navigation: this.navigation });
    vi.stubGlobal('history', this.history);
    vi.stubGlobal('location', new URL(address));
    vi.stubGlobal('document', { referrer: 'https://search.example/' });
    vi.stubGlobal('addEventListener', this.addEventListener.bind(this));
  }

  watch(route: Route = 'path'): this {
    watchViews(route, (path, referer) => this.views.push([path, referer]));
    return this;
  }

  go(to: string): void {
    vi.stubGlobal('location', new URL(to, location.href));
    this.navigation?.dispatchEvent(new Event('currententrychange'));
  }

  push(to: string): void {
    (history as History).pushState(null, '', to);
  }

  back(to: string): void {
    this.go(to);
    this.dispatchEvent(new Event('popstate'));
    this.dispatchEvent(new Event('hashchange'));
  }

  show(persisted: boolean): void {
    this.dispatchEvent(Object.assign(new Event('pageshow'), { persisted }));
  }

  get paths(): string[] {
    return this.views.map(([path]) => path);
  }
}

describe.each([
  ['the Navigation API', true],
  ['the History API alone', false],
])('with %s', (_, hasNavigation) => {
  let page: Page;

  beforeEach(() => {
    page = new Page('https://shop.example/cart?page=2#top', hasNavigation);
  });

  test('the first page and each route is a view, with where the user came from', () => {
    page.watch();
    page.push('/users/me/');
    page.back('/cart?page=2');
    expect(page.views).toEqual([
      ['/cart?page=2', 'https://search.example/'],
      ['/users/me/', 'https://shop.example/cart?page=2#top'],
      ['/cart?page=2', 'https://shop.example/users/me/'],
    ]);
  });

  test('the same route again is no view, nor is an anchor', () => {
    page.watch();
    page.push('/cart?page=2');
    page.back('/cart?page=2#bottom');
    expect(page.paths).toEqual(['/cart?page=2']);
  });

  test('hash routes are what follows the #', () => {
    page.watch('hash');
    page.back('#users/me/cart/');
    page.push('#/orders?open');
    page.push('/cart');
    expect(page.paths).toEqual(['top', 'users/me/cart/', '/orders?open', '/']);
  });

  test('a page that comes back from the cache is a view, one that loads is not another', () => {
    page.watch();
    page.show(false);
    page.show(true);
    expect(page.paths).toEqual(['/cart?page=2', '/cart?page=2']);
  });

  test('addresses are cut to what the server takes', () => {
    page.watch();
    page.push(`/${'a'.repeat(3000)}`);
    page.push('/b');
    expect(page.paths[1]).toHaveLength(1000);
    expect(page.views[2]![1]).toHaveLength(2048);
  });
});

describe('a page that is loaded in advance', () => {
  test('counts once somebody sees it', () => {
    const page = Object.assign(new EventTarget(), { prerendering: true });
    vi.stubGlobal('document', page);
    const work = vi.fn();
    whenActive(work);
    expect(work).not.toHaveBeenCalled();
    page.dispatchEvent(new Event('prerenderingchange'));
    expect(work).toHaveBeenCalledOnce();
    page.prerendering = false;
    whenActive(work);
    expect(work).toHaveBeenCalledTimes(2);
  });
});
