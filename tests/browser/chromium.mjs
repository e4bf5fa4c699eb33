// Chromium, as all scripts here start it and read in it.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import puppeteer from 'puppeteer-core';

export const launch = () => puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  // Chromium has no sandbox for root.
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});

// A page that is not in front paints nothing, so that nothing may wait for that.
export const polling = { polling: 100 };

/** What the console of the host's own pages complains about, from now on: what violates a policy is told there. */
export const complaintsOf = (page, origin) => {
  const complaints = [];
  page.on('console', (message) => {
    const from = message.location().url ?? '';
    const ours = from.startsWith(origin) || page.url().startsWith(origin);
    if (ours && ['error', 'warn'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    if (request.url().startsWith(origin)) complaints.push(`${request.url()}: ${request.failure()?.errorText}`);
  });
  return complaints;
};

/** What a person sees of a page. */
export const seen = async (page) => ({
  url: page.url(),
  title: await page.title(),
  text: await page.evaluate(() => document.body.innerText),
});

/** Keeps what a page looks like, light and dark, in a folder that is made where it is missing. */
export const photographer = async (page, folder) => {
  await mkdir(folder, { recursive: true });
  return async (name) => {
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      await page.screenshot({ path: path.join(folder, `${name}-${value}.png`), fullPage: true });
    }
  };
};

/** Presses a button that leads to another page. */
export const press = async (page, selector) => {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
};

/** Fills in the provider's pages: logs in, then consents. */
export const logIn = async (page, user) => {
  await page.type('input[name=login]', user);
  await page.type('input[name=password]', 'x');
  await press(page, 'button[type=submit]');
  await press(page, 'button[type=submit]');
};

/** A person with one page, who sees `work` do its part; what that returns is printed as JSON. */
export const visit = async (url, screenshots, work) => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    // Before any page runs.
    const complaints = complaintsOf(page, new URL(url).origin);
    const photograph = await photographer(page, screenshots);
    await page.setViewport({ width: 900, height: 900 });
    await page.goto(url);
    console.log(JSON.stringify(await work({ browser, page, complaints, photograph })));
  } finally {
    await browser.close();
  }
};

export const reader = (page) => ({
  text: (selector) => page.$eval(selector, (element) => element.innerText),
  shows: (selector, wanted) => page.waitForFunction(
    (selector, wanted) => document.querySelector(selector)?.innerText.includes(wanted), polling, selector, wanted),
});
