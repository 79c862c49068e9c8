/** What the browser logs to: `djaffar serve`, or ingest, NATS and a writer. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, binary, Directory, freePort, run, Service } from './process';

export interface Row {
  readonly id: string;
  readonly date: string;
  readonly user: string | null;
  readonly session: string | null;
  readonly path: string;
  readonly referer: string;
}

export interface Djaffar {
  /** Of the public listener. */
  readonly port: number;
  /** The one that answers the browser. */
  readonly front: Service;
  rows(): Promise<Row[]>;
  sessions(): Promise<{ session: string; user_agent: string }[]>;
  stop(): Promise<void>;
}

class Started implements Djaffar {
  constructor(
    readonly port: number,
    readonly front: Service,
    private readonly others: Service[],
    private readonly database: string,
    private readonly directory: Directory,
  ) {}

  rows(): Promise<Row[]> {
    return this.dump('activity');
  }

  sessions(): Promise<{ session: string; user_agent: string }[]> {
    return this.dump('sessioninfo');
  }

  async stop(): Promise<void> {
    for (const service of [this.front, ...this.others]) {
      await service.end('SIGKILL');
    }
    this.directory.remove();
  }

  private async dump<T>(table: string): Promise<T[]> {
    const lines = await run(binary('djaffar'), 'dump', table, '--format', 'ndjson', '--database', this.database);
    return lines.split('\n').filter(Boolean).map((line) => JSON.parse(line) as T);
  }
}

async function role(name: string, directory: string, ...args: string[]): Promise<Service> {
  const admin = await freePort();
  const all = [name, '--admin-listen', `127.0.0.1:${admin}`, ...args];
  return new Service(binary('djaffar'), all, directory, () => answers(`http://127.0.0.1:${admin}/readyz`));
}

export async function serve(...args: string[]): Promise<Djaffar> {
  const directory = new Directory();
  const port = await freePort();
  const data = join(directory.path, 'data');
  const front = await role('serve', directory.path, '--listen', `127.0.0.1:${port}`, '--data-dir', data, ...args);
  await front.start();
  const named = args.indexOf('--database');
  const database = named >= 0 ? args[named + 1]! : `sqlite:${join(data, 'djaffar.sqlite3')}`;
  return new Started(port, front, [], database, directory);
}

/** The split pipeline; `nats` can be stopped and started. */
export async function pipeline(): Promise<Djaffar & { nats: Service }> {
  const directory = new Directory();
  const [port, natsPort] = [await freePort(), await freePort()];
  const configuration = join(directory.path, 'nats.conf');
  const store = join(directory.path, 'jetstream');
  writeFileSync(configuration, `listen: "127.0.0.1:${natsPort}"\njetstream { store_dir: "${store}", sync_interval: always }\n`);
  const monitor = await freePort();
  const health = (): Promise<boolean> => answers(`http://127.0.0.1:${monitor}/healthz`);
  const nats = new Service(binary('nats-server'), ['-c', configuration, '-m', String(monitor)], directory.path, health);
  await nats.start();
  const queue = ['--queue', `nats://127.0.0.1:${natsPort}`];
  const database = `sqlite:${join(directory.path, 'djaffar.sqlite3')}`;
  const secret = ['--secret-key', 'a secret key of the tests, long enough'];
  const writer = await role('writer', directory.path, ...queue, '--database', database);
  const front = await role('ingest', directory.path, ...queue, ...secret, '--listen', `127.0.0.1:${port}`);
  await writer.start();
  await front.start();
  return Object.assign(new Started(port, front, [writer, nats], database, directory), { nats });
}
