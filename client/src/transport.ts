/** How requests leave the page. Their body is text, so that another origin needs no preflight. */

/** The value after `Bearer`; nothing for a visitor who is not logged in. `isRefresh` after a 401. */
export type Token = (isRefresh: boolean) => Promise<string | null | undefined> | string | null | undefined;

const REQUEST_MS = 15_000;

/** Older browsers ignore the flag, and end the request with its page. */
export const canKeepAlive = typeof Request !== 'undefined' && 'keepalive' in Request.prototype;

export function send(url: string, body: string, token: string | null | undefined, keepalive: boolean): Promise<Response> {
  const abort = new AbortController();
  // Never cleared: it bounds the reading of the answer too.
  setTimeout(() => abort.abort(), REQUEST_MS);
  return fetch(url, { ...request(url, body, token), keepalive, signal: abort.signal });
}

/** Outlives the page; nobody hears the answer. */
export function sendLast(url: string, body: string, token: string | null | undefined): void {
  if (canKeepAlive) {
    fetch(url, { ...request(url, body, token), keepalive: true }).catch(() => undefined);
  } else if (!token) {
    navigator.sendBeacon(url, body);
  }
}

function request(url: string, body: string, token: string | null | undefined): RequestInit {
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  // Another origin has no business with it.
  const csrf = new URL(url).origin === location.origin && /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie);
  if (csrf) {
    headers['X-CSRFToken'] = csrf[1]!;
  }
  return { method: 'POST', body, headers, credentials: 'include' };
}

/** Runs `work` while no other page of the site runs any under this name; at once where browsers cannot tell. */
export async function alone(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await navigator.locks.request(name, work);
  } catch {
    await work();
  }
}
