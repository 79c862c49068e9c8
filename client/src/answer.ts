/** What an answer of the server means for the activities of its request. */

/** Per field, or under `detail`, as the server says it. */
export type Errors = Readonly<Record<string, unknown>>;

export type Answer =
  /** All that is not named is on the server's disk. */
  | { readonly kind: 'acked'; readonly rejected: ReadonlyMap<number, Errors>; readonly identity: string | undefined }
  | { readonly kind: 'unauthorized' }
  /** Sending the same again would be refused again. */
  | { readonly kind: 'refused'; readonly status: number; readonly errors: Errors | undefined }
  /** Nothing is known; `afterMs` is what the server asks for. */
  | { readonly kind: 'later'; readonly afterMs: number | undefined };

const REFUSALS = [400, 401, 403, 413, 415, 422];

interface Report {
  accepted: number;
  rejected: { index: number; errors: Errors }[];
}

/** `sent` is how many activities the request carried. */
export async function readAnswer(response: Response, sent: number, now: number): Promise<Answer> {
  const { status, headers } = response;
  const body: unknown = await response.json().catch(() => undefined);
  // A captive portal answers 200 too, so that only the server's own sum counts.
  if ((status === 200 || status === 400) && isReport(body) && body.accepted + body.rejected.length === sent) {
    const rejected = new Map(body.rejected.map(({ index, errors }) => [index, errors]));
    return { kind: 'acked', rejected, identity: headers.get('Djaffar-Identity') ?? undefined };
  }
  if (status === 401) {
    return { kind: 'unauthorized' };
  }
  if (REFUSALS.includes(status)) {
    return { kind: 'refused', status, errors: (body ?? undefined) as Errors | undefined };
  }
  return { kind: 'later', afterMs: retryAfter(headers.get('Retry-After'), now) };
}

function isReport(body: unknown): body is Report {
  const report = body as Partial<Report> | null | undefined;
  return typeof report?.accepted === 'number' && Array.isArray(report.rejected);
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(text: string | null, now: number): number | undefined {
  const ms = /^\d+$/.test(text ?? '') ? Number(text) * 1000 : Date.parse(text ?? '') - now;
  return ms >= 0 ? ms : undefined;
}
