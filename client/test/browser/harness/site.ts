/** The site whose pages carry the client: its pages, and a proxy that can fail on the way to Djaffar. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

export interface Page {
  readonly body: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

/** Answers in Djaffar's stead; `false` lets the request through. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export const cut: Fault = ({ socket }) => {
  socket.destroy();
  return true;
};

/** Djaffar hears the request, and the browser no answer. */
export const cutAnswer: Fault = ({ socket }, response) => {
  response.writeHead = () => {
    socket.destroy();
    return response;
  };
  return false;
};

export class Site {
  readonly pages = new Map<string, Page>();
  /** What went through to Djaffar, as method and URL. */
  readonly passed: string[] = [];
  /** For requests below the base path, but the script. */
  fault: Fault | undefined;
  /** Port of a server that has the pages which are not in `pages`. */
  application: number | undefined;
  private server: Server | undefined;

  private constructor(
    readonly port: number,
    private readonly djaffarPort: number,
    private readonly host: string,
  ) {}

  static async start(djaffarPort: number, host = '127.0.0.1'): Promise<Site> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const site = new Site((server.address() as { port: number }).port, djaffarPort, host);
    site.server = server.on('request', (incoming, response) => site.answer(incoming, response));
    return site;
  }

  get origin(): string {
    return `http://${this.host}:${this.port}`;
  }

  url(path: string): string {
    return this.origin + path;
  }

  stop(): void {
    this.server?.close();
    this.server?.closeAllConnections();
  }

  /** How often the client has asked Djaffar and got through. */
  get batches(): number {
    return this.passed.filter((line) => line.endsWith('/batch/')).length;
  }

  private answer(incoming: IncomingMessage, response: ServerResponse): void {
    const url = incoming.url ?? '/';
    if (url.startsWith('/djaffar/')) {
      if (url.endsWith('.js') || !this.fault?.(incoming, response)) {
        this.passed.push(`${incoming.method} ${url}`);
        this.pass(incoming, response, this.djaffarPort);
      }
      return;
    }
    const page = this.pages.get(url.split('?')[0]!) ?? this.pages.get('*');
    if (!page && this.application) {
      this.pass(incoming, response, this.application);
      return;
    }
    response.writeHead(page ? 200 : 404, { 'Content-Type': page?.type ?? 'text/html; charset=utf-8', ...page?.headers });
    response.end(page?.body ?? 'no such page');
  }

  private pass(incoming: IncomingMessage, response: ServerResponse, port: number): void {
    const { method, url, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    // As a proxy whose upstream is away.
    onward.on('error', () => {
      if (response.headersSent) {
        response.destroy();
      } else {
        response.writeHead(502).end('Bad Gateway');
      }
    });
    incoming.pipe(onward);
  }
}

/** A plain page of the site. */
export function html(content: string, script = '<script defer src="/djaffar/djaffar.js"></script>'): Page {
  return { body: `<!doctype html><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">${script}<body>${content}` };
}
