// A person in Chromium at the host's own page: sees its tools, connects an account, sees a call, disconnects.
//
// The environment says where things are:
//   CHROMIUM     the program
//   PAGE_URL     the page
//   OTHER_URL    a page of another site
//   SCREENSHOTS  a folder for what the page looks like, made where it is missing
// Where the server is to end, or to be there again, a line on standard output says so, and one on standard input that it
// is done. The last line is what was seen, as JSON.
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { launch, logIn, polling, press, reader } from './chromium.mjs';

const { PAGE_URL, OTHER_URL, SCREENSHOTS } = process.env;
const origin = new URL(PAGE_URL).origin;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await mkdir(SCREENSHOTS, { recursive: true });

const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  // While the server is gone, the browser complains as it should.
  let isGone = false;
  page.on('console', (message) => {
    if (!isGone && ['error', 'warn'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`a script of a tool ran: ${dialog.message()}`);
    dialog.dismiss();
  });

  const { text, shows } = reader(page);
  const lacks = (selector, unwanted) => page.waitForFunction(
    (selector, unwanted) => !document.querySelector(selector).innerText.includes(unwanted), polling, selector, unwanted);
  const looks = async (value) => page.emulateMediaFeatures([
    { name: 'prefers-color-scheme', value },
    { name: 'prefers-reduced-motion', value: 'reduce' },
  ]);
  const wide = { width: 1280, height: 900 };
  const narrow = { width: 390, height: 844 };

  /** What is hard to see, to hear or to reach, in light and dark, wide and narrow. */
  const barriers = [];
  let overflow = 0;
  const inspect = async (name) => {
    for (const [shape, viewport] of Object.entries({ wide, narrow })) {
      await page.setViewport(viewport);
      for (const value of ['light', 'dark']) {
        await looks(value);
        await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-${shape}-${value}.png`), fullPage: true });
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        for (const { id, nodes } of violations) barriers.push(`${name} ${shape} ${value}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      }
      overflow = Math.max(overflow, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth));
    }
    await page.setViewport(wide);
    await looks('light');
  };

  // What there is.
  await page.setViewport(wide);
  await page.goto(PAGE_URL);
  await shows('#state', 'Live');
  await shows('#tools', 'report');
  const tools = await text('#tools');
  const problems = await text('#problems');
  const markup = await page.$$eval('main script, main img, main iframe', (found) => found.length);
  const injected = await page.evaluate(() => {
    try {
      document.body.innerHTML += '<p>injected</p>';
      return true;
    } catch {
      return false;
    }
  });
  await page.evaluate(() => { window.same = true; });
  await inspect('empty');

  // By keyboard alone: to the button that connects, and to the new tab.
  const reached = [];
  for (let steps = 0; steps < 40; steps += 1) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText);
    reached.push(name);
    if (name === 'Connect: Slack for profile default') break;
  }
  const opened = new Promise((resolve) => { browser.once('targetcreated', resolve); });
  await page.keyboard.press('Enter');
  const tab = await (await opened).page();
  tab.setDefaultTimeout(30_000);
  await tab.waitForSelector('form button');
  const referrer = await tab.evaluate(() => [document.referrer, window.opener === null]);
  await shows('#waiting', 'Slack');

  await press(tab, 'form button');
  await logIn(tab, 'alice');
  await tab.waitForSelector('.good');
  await tab.close();
  await page.bringToFront();
  await shows('#profiles', 'alice@example.test');
  await lacks('#waiting', 'Slack');
  const connected = await text('#profiles');

  // A call of some program, and a connection that it asks for.
  const ask = async (path, method, body) => {
    const answer = await fetch(new URL(path, PAGE_URL), { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return answer.status;
  };
  const asked = [
    await ask('v1/tools/fail/call', 'POST', { arguments: { kind: 'failed' } }),
    await ask('v1/tools/fetch/call', 'POST', { for: { profile: 'work' } }),
    await ask('v1/tools/report/call', 'POST', { arguments: { title: 'Tides', ratio: 0.5, level: 'high', tags: ['sea'], author: { name: 'Ann' } } }),
  ];
  await shows('#calls', 'report');
  await shows('#calls', 'interrupted');
  await shows('#waiting', 'for profile work');
  const calls = await text('#calls');
  const waiting = await text('#waiting');
  await inspect('busy');

  // Disconnecting has to be meant.
  const disconnect = '[aria-label="Disconnect Slack of profile default"]';
  await page.click(disconnect);
  await page.waitForSelector('#confirm[open]');
  await inspect('confirm');
  const confirmed = await text('#confirm');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#confirm:not([open])');
  const kept = await text('#profiles');
  await page.click(disconnect);
  await page.click('#confirm .danger');
  await lacks('#profiles', 'alice@example.test');
  await shows('#notices', 'disconnected');
  const notice = await text('#notices');

  // A page of another site sends a form, as any page can.
  const other = await browser.newPage();
  await other.goto(OTHER_URL);
  const forged = await other.evaluate(async (url) => {
    const send = (type) => fetch(url, { method: 'POST', mode: 'no-cors', headers: { 'content-type': type }, body: '{"provider":"slack","for":{"profile":"forged"}}' });
    await send('text/plain');
    const frame = document.createElement('iframe');
    frame.src = new URL('/', url);
    document.body.append(frame);
    await new Promise((resolve) => { frame.addEventListener('load', resolve); setTimeout(resolve, 2000); });
    return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"provider":"slack","for":{"profile":"forged"}}' })
      .then(({ status }) => status, () => 'refused');
  }, new URL('v1/connections', PAGE_URL).href);
  await Promise.all([
    other.waitForNavigation(),
    other.evaluate((url) => {
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action: url, enctype: 'text/plain' });
      const field = document.createElement('input');
      Object.assign(field, { name: '{"provider":"slack","for":{"profile":"forged","thread":"', value: '"}}' });
      form.append(field);
      document.body.append(form);
      form.submit();
    }, new URL('v1/connections', PAGE_URL).href),
  ]);
  const answered = await other.evaluate(() => document.body.innerText);
  await other.close();
  const pending = await (await fetch(new URL('v1/connections', PAGE_URL))).text();

  // The server goes, and comes back.
  isGone = true;
  console.log('end the server');
  await answers.next();
  await shows('#state', 'Not connected');
  const gone = await text('#gone');
  await inspect('gone');
  console.log('start the server');
  await answers.next();
  await shows('#state', 'Live');
  await lacks('#calls', 'report');
  const same = await page.evaluate(() => window.same === true);

  console.log(JSON.stringify({
    tools, problems, markup, injected, reached, referrer, connected, asked, calls, waiting, confirmed, kept, notice, forged, answered,
    pending, gone, same, barriers, overflow, complaints,
  }));
} finally {
  await browser.close();
  process.stdin.destroy();
}
