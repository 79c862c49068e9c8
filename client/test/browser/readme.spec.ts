/** The README's examples as they are written, and the package as it would be published. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, expectEmptyQueue, expectStored, html, serve, test } from './harness';
import { Directory } from './harness/process';
import { Shop } from './harness/shop';

const CLIENT = join(import.meta.dirname, '../..');
const README = readFileSync(join(CLIENT, 'README.md'), 'utf8');

function example(language: string, containing: string): string {
  const blocks = [...README.matchAll(/```(\S+)\n([\s\S]*?)```/g)].filter(([, name]) => name === language);
  const found = blocks.map(([, , code]) => code!).find((code) => code.includes(containing));
  expect(found, `a ${language} example with ${containing}`).toBeDefined();
  return found!;
}

test('a plain page', async ({ page, site, djaffar }) => {
  site.pages.set('/plain', html(example('html', 'Buy'), ''));
  await page.goto(site.url('/plain'));
  await page.click('button');
  await expectStored(djaffar, ['/plain', 'buy']);
});

test('a page with functions', async ({ page, site, djaffar }) => {
  site.pages.set('/functions', html(example('html', 'beforeSend'), ''));
  await page.goto(site.url('/functions?secret'));
  await expectStored(djaffar, ['/functions']);
});

test('a React page, with the package as it is published', async ({ page, site, djaffar }) => {
  const directory = new Directory();
  const options = { cwd: CLIENT, encoding: 'utf8' } as const;
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', directory.path], { ...options, stdio: ['ignore', 'pipe', 'ignore'] });
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ filename: string; files: { path: string }[] }];
  const names = files.map(({ path }) => path).filter((path) => !path.startsWith('dist/types/'));
  expect(names.sort()).toEqual(['LICENSE', 'README.md', 'dist/djaffar.js', 'dist/index.js', 'package.json']);
  expect(readFileSync(join(CLIENT, 'LICENSE'), 'utf8')).toBe(readFileSync(join(CLIENT, '../LICENSE'), 'utf8'));

  mkdirSync(join(directory.path, 'node_modules/djaffar'), { recursive: true });
  execFileSync('tar', ['xf', filename, '--strip-components=1', '-C', 'node_modules/djaffar'], { cwd: directory.path });
  writeFileSync(join(directory.path, 'App.jsx'), example('jsx', 'useEffect'));
  const start = `import { StrictMode } from 'react'; import { createRoot } from 'react-dom/client'; import App from './App.jsx';
    createRoot(document.getElementById('root')).render(<StrictMode><App /></StrictMode>);`;
  writeFileSync(join(directory.path, 'start.jsx'), start);
  const bundle = await build({
    absWorkingDir: directory.path,
    entryPoints: ['start.jsx'],
    bundle: true,
    write: false,
    jsx: 'automatic',
    nodePaths: [join(CLIENT, 'node_modules')],
  });
  site.pages.set('/react.js', { body: bundle.outputFiles[0]!.text, type: 'text/javascript' });
  site.pages.set('/react', html('<div id="root"></div>', '<script defer src="/react.js"></script>'));
  await page.goto(site.url('/react'));
  await page.click('button');
  await page.evaluate(() => history.pushState(null, '', '/react/route'));
  await expectStored(djaffar, ['/react', 'buy', '/react/route']);

  // Typed code finds the types.
  writeFileSync(join(directory.path, 'typed.ts'), "import { log, type Outcome } from 'djaffar';\nexport const done: Promise<Outcome> = log({ path: 'a' });\n");
  execFileSync(join(CLIENT, 'node_modules/.bin/tsc'), ['--noEmit', '--strict', '--ignoreConfig', '--module', 'nodenext', 'typed.ts'], { cwd: directory.path });
  directory.remove();
});

test('a Django template', async ({ page }) => {
  const shop = await Shop.open({ page: `${example('html+django', 'defer')}<p>Hello {{ request.user.username|default:"stranger" }}</p>` });
  try {
    await shop.logIn(page, 'ann');
    await page.click('button');
    await expectEmptyQueue(page);
    const rows = await expectStored(shop.djaffar, ['/account/', 'buy']);
    expect(rows.map(({ user }) => user)).toEqual(['1', '1']);
  } finally {
    await shop.close();
  }
});

test('the welcome page of `djaffar serve`', async ({ page }, info) => {
  const djaffar = await serve('--debug-from', '127.0.0.1');
  try {
    await page.goto(`http://127.0.0.1:${djaffar.port}/`);
    await page.getByText('Log a click').click();
    await expectStored(djaffar, ['/', 'click']);
    await djaffar.front.end('SIGKILL');
    await page.getByText('Log a hundred').click();
    await expect(page.locator('#count')).toContainText('100 waiting, 2 on the server');
    await page.screenshot({ path: info.outputPath('waiting.png') });
    await djaffar.front.start();
    await expect(page.locator('#count')).toContainText('0 waiting, 102 on the server');
    await page.getByText('Show what is stored').click();
    await expect(page.locator('#stored')).toContainText('"path": "shown"');
    await page.screenshot({ path: info.outputPath('stored.png') });
  } finally {
    await djaffar.stop();
  }
});
