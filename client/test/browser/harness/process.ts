/** Real processes on free ports, never left behind. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const START_MS = 60_000;
const WORKSPACE = join(import.meta.dirname, '../../../..');
export const TOOLS = join(WORKSPACE, 'target/tools');

/** `djaffar` is the one under test, as for the suites in Rust. */
export function binary(name: 'djaffar' | 'nats-server' | 'python'): string {
  const path = {
    djaffar: process.env.BINARY_UNDER_TEST ?? join(process.env.CARGO_TARGET_DIR ?? join(WORKSPACE, 'target'), 'debug/djaffar'),
    'nats-server': join(TOOLS, 'bin/nats-server'),
    python: join(TOOLS, 'django/bin/python'),
  }[name];
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: run tests/run client, or tests/setup and cargo build`);
  }
  return path;
}

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DJAFFAR_')));

export class Service {
  private child: ChildProcess | undefined;
  readonly log: string;

  constructor(
    private readonly program: string,
    private readonly args: string[],
    directory: string,
    private readonly isReady: () => Promise<boolean>,
  ) {
    this.log = join(directory, `log of ${basename(this.args[0]!)}`);
  }

  async start(): Promise<void> {
    const log = createWriteStream(this.log, { flags: 'a' });
    const child = spawn(this.program, this.args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    await until(`${this.program} ${this.args[0]} to be ready`, START_MS, async () => {
      if (child.exitCode !== null) {
        throw new Error(`${this.program} ended at its start: ${readFileSync(this.log, 'utf8')}`);
      }
      return (await this.isReady()) || undefined;
    });
  }

  /** Resolves when the process is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await gone;
    }
  }
}

export async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { env: environment, maxBuffer: 1 << 28 });
  return stdout;
}

export async function until<T>(what: string, limitMs: number, attempt: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + limitMs; ; ) {
    const value = await attempt();
    if (value !== undefined) {
      return value;
    }
    if (Date.now() > end) {
      throw new Error(`waited ${limitMs} ms for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(5000) }).then(({ ok }) => ok, () => false);
}

/** Below the ephemeral range, so that no outgoing connection takes it first. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer()
        .once('error', () => resolve(false))
        .listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) {
      return port;
    }
  }
}

/** A directory that goes with the test. */
export class Directory {
  readonly path = mkdtempSync(join(tmpdir(), 'djaffar-client-'));

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
