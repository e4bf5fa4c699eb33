// A person in Chromium who opens a link of theirs, shows at an issuer who they are, and opens a link of somebody else.
//
// The environment says where things are:
//   CHROMIUM     the program
//   CONNECT_URL  the page of a connection of theirs
//   OTHER_URL    that of somebody else, for whom there is a key
//   KEY          that key
//   SCREENSHOTS  a folder for what the pages look like, made where it is missing
// It prints what was seen, as JSON: the pages, the host's cookies, and what the console of the host's own pages complained
// about.
import { logIn, press, seen, visit } from './chromium.mjs';

const { CONNECT_URL, OTHER_URL, KEY, SCREENSHOTS } = process.env;

await visit(CONNECT_URL, SCREENSHOTS, async ({ browser, page, complaints, photograph }) => {
  const asked = await seen(page);
  await photograph('sign-in');
  await press(page, 'form button');
  await logIn(page, 'alice');
  const own = await seen(page);
  await photograph('signed-in');
  const cookies = await browser.cookies();

  // A refusal is a page as well; the console says its status.
  await page.goto(OTHER_URL);
  const other = await seen(page);
  await photograph('stranger');
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes('403')));
  await page.click('summary');
  await page.type('input[name=key]', KEY);
  await press(page, 'details form button');
  const as = await seen(page);
  return { asked, own, other, as, cookies, complaints };
});
