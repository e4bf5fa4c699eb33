// A person in Chromium who connects an account: from the connect page to the provider and back.
//
// The environment says where things are:
//   CHROMIUM     the program
//   CONNECT_URL  the page of the connection
//   SCREENSHOTS  a folder for what the pages look like, made where it is missing
// It prints what was seen, as JSON: the pages before and after, the page in a second browser, the host's cookie, and
// what the console of the host's own pages complained about.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { launch } from './chromium.mjs';

const { CONNECT_URL, SCREENSHOTS } = process.env;
const origin = new URL(CONNECT_URL).origin;
await mkdir(SCREENSHOTS, { recursive: true });

const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  // Before any page runs: what violates a policy is told to the console, not to the page.
  page.on('console', (message) => {
    const from = message.location().url ?? '';
    const ours = from.startsWith(origin) || page.url().startsWith(origin);
    if (ours && ['error', 'warn'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    if (request.url().startsWith(origin)) complaints.push(`${request.url()}: ${request.failure()?.errorText}`);
  });

  const seen = async (shown) => ({
    url: shown.url(),
    title: await shown.title(),
    text: await shown.evaluate(() => document.body.innerText),
  });
  const photograph = async (name) => {
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-${value}.png`), fullPage: true });
    }
  };
  const press = async (selector) => {
    await Promise.all([page.waitForNavigation(), page.click(selector)]);
  };

  await page.setViewport({ width: 900, height: 900 });
  await page.goto(CONNECT_URL);
  const chosen = await seen(page);
  await photograph('choose');
  await press('form button');

  // The provider's pages: log in, then consent.
  await page.type('input[name=login]', 'alice');
  await page.type('input[name=password]', 'x');
  await press('button[type=submit]');
  await press('button[type=submit]');

  const ended = await seen(page);
  await photograph('connected');
  const cookies = await browser.cookies();
  const cookie = cookies.find(({ name }) => name.includes('holster'));

  const other = await browser.createBrowserContext();
  const second = await other.newPage();
  await second.goto(CONNECT_URL);
  const elsewhere = await seen(second);

  console.log(JSON.stringify({ chosen, ended, elsewhere, cookie, complaints }));
} finally {
  await browser.close();
}
