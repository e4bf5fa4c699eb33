// Folders of this machine in place of those that an operator gives to a component.

import { mkdirSync, readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { locate } from './locate.js';

/** What the contract calls the errors of Node.js. */
const CODES = {
  EACCES: 'access',
  EEXIST: 'exist',
  EISDIR: 'is-directory',
  ENOENT: 'no-entry',
  ENOTDIR: 'not-directory',
  EPERM: 'not-permitted',
  EROFS: 'read-only',
};

/** @param {Record<string, string>} folders By the paths under which the tool sees them. */
export function foldersOf(folders) {
  /**
   * @template T
   * @param {string} path
   * @param {(path: string) => T} work
   */
  const within = (path, work) => {
    const named = Object.entries(folders).map(([name, folder]) => /** @type {[string, string]} */ ([folder, name]));
    const real = join(...locate(path, named));
    try {
      return work(real);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      throw { payload: CODES[/** @type {keyof typeof CODES} */ (code)] ?? 'io' };
    }
  };
  return {
    listFolder: (/** @type {string} */ path) => within(path, (real) => readdirSync(real)),
    makeFolder: (/** @type {string} */ path) => within(path, (real) => mkdirSync(real)),
    readFile: (/** @type {string} */ path) => within(path, (real) => new Uint8Array(readFileSync(real))),
    removeFile: (/** @type {string} */ path) => within(path, (real) => unlinkSync(real)),
    writeFile: (/** @type {string} */ path, /** @type {Uint8Array} */ bytes) =>
      within(path, (real) => writeFileSync(real, bytes)),
  };
}
