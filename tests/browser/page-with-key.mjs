// A person in Chromium at the page of a host that asks for a key: enters a wrong one, the right one, and forgets it.
//
// The environment says where things are:
//   CHROMIUM  the program
//   PAGE_URL  the page
//   KEY       the right key
// It prints what was seen, as JSON.
import { launch, reader } from './chromium.mjs';

const { PAGE_URL, KEY } = process.env;
const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const urls = [];
  page.on('request', (request) => urls.push(request.url()));
  const { text, shows } = reader(page);
  const enter = async (key) => {
    await page.waitForSelector('#ask-key[open]');
    await page.type('#key-text', key);
    await page.keyboard.press('Enter');
  };

  await page.goto(PAGE_URL);
  await page.waitForSelector('#ask-key[open]');
  const before = await text('main');
  await enter('wrong');
  await shows('#key-problem', 'not known');
  await enter(KEY);
  await shows('#state', 'Live');
  await shows('#caller', 'ann');
  await shows('#tools', 'report');
  const kept = await page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]);
  const button = await text('#key');
  await Promise.all([page.waitForNavigation(), page.click('#key')]);
  await page.waitForSelector('#ask-key[open]');
  const after = await text('main');
  const leaked = urls.filter((url) => url.includes(KEY));

  console.log(JSON.stringify({ before, after, kept, button, leaked }));
} finally {
  await browser.close();
}
