// TypeScript for tests in Node.js: modules outside this package, as modules inside it, so that they import `holster-sdk`
// as what it is here.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

export const package_ = new URL('..', import.meta.url);
export const built = new URL('test/.built/', package_);

/** @param {string} name a file name in the folder of what tests build @param {string} contents */
export async function put(name, contents) {
  await mkdir(built, { recursive: true });
  const url = new URL(name, built);
  await writeFile(url, contents);
  return fileURLToPath(url);
}

/** @param {string} path relative to this package @returns {Promise<any>} */
export async function imported(path) {
  const source = await readFile(new URL(path, package_), 'utf8');
  const { code } = await esbuild.transform(source, { loader: 'ts' });
  return import(await put(path.replaceAll('/', '_').replaceAll('..', '').replace(/ts$/, 'mjs'), code));
}

/** The code block of the README that starts with this comment. @param {string} language @param {string} start */
export async function readmeBlock(language, start) {
  const readme = await readFile(new URL('README.md', package_), 'utf8');
  const blocks = readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'));
  const found = [...blocks].map(([, block = '']) => block).find((block) => block.startsWith(start));
  if (!found) throw new Error(`README.md has no block in ${language} that starts with \`${start}\``);
  return found;
}
