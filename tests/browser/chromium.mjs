// Chromium, as all scripts here start it and read in it.
import puppeteer from 'puppeteer-core';

export const launch = () => puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  // Chromium has no sandbox for root.
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});

// A page that is not in front paints nothing, so that nothing may wait for that.
export const polling = { polling: 100 };

export const reader = (page) => ({
  text: (selector) => page.$eval(selector, (element) => element.innerText),
  shows: (selector, wanted) => page.waitForFunction(
    (selector, wanted) => document.querySelector(selector)?.innerText.includes(wanted), polling, selector, wanted),
});
