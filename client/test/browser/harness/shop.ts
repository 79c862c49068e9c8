/** The Django site of `shop.py`, with Djaffar behind the same proxy. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { type Djaffar, serve } from './djaffar';
import { answers, binary, Directory, freePort, Service } from './process';
import { Site } from './site';

const SECRET_KEY = 'the secret key of a shop that nobody visits but tests';
const LOGIN = '<form method="post">{% csrf_token %}{{ form }}<button>Log in</button></form>';
const PAGE = `<!doctype html><title>Shop</title><link rel="icon" href="data:,">
<script defer src="/djaffar/djaffar.js"></script>
<p>Hello {{ request.user.username|default:"stranger" }}</p>
<form method="post" action="/logout/">{% csrf_token %}<button>Log out</button></form>`;

export class Shop {
  private constructor(
    readonly site: Site,
    readonly djaffar: Djaffar,
    private readonly django: Service,
    private readonly directory: Directory,
  ) {}

  /** `page` is the template of all pages but the log-in; Djaffar's rows may be in Django's own database. */
  static async open({ page = PAGE, djaffar: more = [] as string[], rows = 'apart' as 'apart' | 'in Django' } = {}): Promise<Shop> {
    const directory = new Directory();
    writeFileSync(join(directory.path, 'page.html'), page);
    writeFileSync(join(directory.path, 'login.html'), LOGIN);
    const database = join(directory.path, 'shop.sqlite3');
    const port = await freePort();
    const program = join(import.meta.dirname, 'shop.py');
    const args = [program, database, String(port), directory.path];
    const django = new Service(binary('python'), args, directory.path, () => answers(`http://127.0.0.1:${port}/`));
    await django.start();
    const users = ['--django-database', `sqlite:${database}`, '--django-secret-key', SECRET_KEY];
    const here = rows === 'in Django' ? ['--database', `sqlite:${database}`] : [];
    const djaffar = await serve(...users, ...here, ...more);
    const site = await Site.start(djaffar.port);
    site.application = port;
    return new Shop(site, djaffar, django, directory);
  }

  async logIn(page: Page, name: string): Promise<void> {
    await page.goto(this.site.url('/login/'));
    await page.fill('[name=username]', name);
    await page.fill('[name=password]', `password of ${name}`);
    await page.click('button');
    await page.waitForURL('**/account/');
    await page.getByText(`Hello ${name}`).waitFor();
  }

  async logOut(page: Page): Promise<void> {
    await page.getByText('Log out').click();
    await page.waitForURL('**/bye/');
    await page.getByText('Hello stranger').waitFor();
  }

  async close(): Promise<void> {
    this.site.stop();
    await this.djaffar.stop();
    await this.django.end('SIGKILL');
    this.directory.remove();
  }
}
