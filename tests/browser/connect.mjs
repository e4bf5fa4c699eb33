// A person in Chromium who connects an account: from the connect page to the provider and back.
//
// The environment says where things are:
//   CHROMIUM     the program
//   CONNECT_URL  the page of the connection
//   SCREENSHOTS  a folder for what the pages look like, made where it is missing
// It prints what was seen, as JSON: the pages before and after, the page in a second browser, the host's cookie, and
// what the console of the host's own pages complained about.
import { logIn, press, seen, visit } from './chromium.mjs';

const { CONNECT_URL, SCREENSHOTS } = process.env;

await visit(CONNECT_URL, SCREENSHOTS, async ({ browser, page, complaints, photograph }) => {
  const chosen = await seen(page);
  await photograph('choose');
  await press(page, 'form button');
  await logIn(page, 'alice');

  const ended = await seen(page);
  await photograph('connected');
  const cookies = await browser.cookies();
  const cookie = cookies.find(({ name }) => name.includes('holster'));

  const other = await browser.createBrowserContext();
  const second = await other.newPage();
  await second.goto(CONNECT_URL);
  const elsewhere = await seen(second);
  return { chosen, ended, elsewhere, cookie, complaints };
});
