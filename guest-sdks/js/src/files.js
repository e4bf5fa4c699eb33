// Files in the folders that the operator gave to this component. There are no others.

import { listFolder, makeFolder as make, readFile, removeFile, writeFile } from '#host';
import { ToolError, asking } from './errors.js';

/** @param {string} path */
export function read(path) {
  return at(path, () => readFile(path));
}

/** @param {string} path */
export function readText(path) {
  const bytes = read(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FileError('illegal-byte-sequence', path);
  }
}

/** @param {string} path @param {string | Uint8Array} contents */
export function write(path, contents) {
  const bytes = typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
  at(path, () => writeFile(path, bytes));
}

/** @param {string} path */
export function list(path) {
  return at(path, () => listFolder(path)).toSorted();
}

/** @param {string} path */
export function makeFolder(path) {
  at(path, () => make(path));
}

/** @param {string} path */
export function remove(path) {
  at(path, () => removeFile(path));
}

/** @type {Record<string, string>} */
const WORDS = {
  access: 'access is not allowed',
  exist: 'it is there already',
  'illegal-byte-sequence': 'it is no text in UTF-8',
  'is-directory': 'it is a folder',
  'no-entry': 'there is no such file or folder',
  'not-directory': 'it is no folder, or lies in something that is none',
  'not-permitted': 'this is not permitted',
  'read-only': 'it can only be read',
};

/** Why something cannot be done with a file. Thrown on, it ends the call as `failed`. */
export class FileError extends ToolError {
  /** @param {string} code @param {string} path */
  constructor(code, path) {
    const message = `${path}: ${WORDS[code] ?? code}`;
    super('failed', message, message);
    this.code = code;
    this.path = path;
  }
}

/**
 * @template T
 * @param {string} path
 * @param {() => T} work
 */
function at(path, work) {
  return asking(work, (code) => new FileError(code, path));
}
