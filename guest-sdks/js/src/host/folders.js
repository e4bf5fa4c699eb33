// The folders of a component, as the contract has them.

import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';
import { locate } from './locate.js';

/** @typedef {import('wasi:filesystem/types@0.2.12').Descriptor} Descriptor */

/** So many bytes are read or written at once. */
const PIECE = 256 << 10;
const DISPOSE = Symbol.dispose ?? Symbol.for('dispose');

/** @type {[Descriptor, string][] | undefined} */
let folders;

/** @param {string} path */
function located(path) {
  folders ??= getDirectories();
  return locate(path, folders);
}

/** @param {string} path */
export function readFile(path) {
  return opened(path, {}, { read: true }, (file) => {
    if (file.getType() === 'directory') throw { payload: 'is-directory' };
    const pieces = [];
    let length = 0;
    for (;;) {
      const [piece, isLast] = file.read(BigInt(PIECE), BigInt(length));
      pieces.push(piece);
      length += piece.length;
      if (isLast || piece.length === 0) return joined(pieces, length);
    }
  });
}

/** @param {string} path @param {Uint8Array} bytes */
export function writeFile(path, bytes) {
  opened(path, { create: true, truncate: true }, { write: true }, (file) => {
    for (let place = 0; place < bytes.length; ) {
      place += Number(file.write(bytes.subarray(place, place + PIECE), BigInt(place)));
    }
  });
}

/** @param {string} path */
export function listFolder(path) {
  return opened(path, { directory: true }, { read: true }, (folder) =>
    closing(folder.readDirectory(), (entries) => {
      const names = [];
      for (let entry; (entry = entries.readDirectoryEntry()); ) names.push(entry.name);
      return names;
    }),
  );
}

/** @param {string} path */
export function makeFolder(path) {
  const [folder, rest] = located(path);
  folder.createDirectoryAt(rest);
}

/** @param {string} path */
export function removeFile(path) {
  const [folder, rest] = located(path);
  folder.unlinkFileAt(rest);
}

/**
 * @template T
 * @param {string} path
 * @param {import('wasi:filesystem/types@0.2.12').OpenFlags} how
 * @param {import('wasi:filesystem/types@0.2.12').DescriptorFlags} for_
 * @param {(opened: Descriptor) => T} work
 */
function opened(path, how, for_, work) {
  const [folder, rest] = located(path);
  return closing(folder.openAt({ symlinkFollow: true }, rest, how, for_), work);
}

/**
 * A call may hold few files open at a time.
 *
 * @template {Disposable} Resource
 * @template T
 * @param {Resource} resource
 * @param {(resource: Resource) => T} work
 */
function closing(resource, work) {
  try {
    return work(resource);
  } finally {
    /** @type {any} */ (resource)[DISPOSE]();
  }
}

/** @param {Uint8Array[]} pieces @param {number} length */
function joined(pieces, length) {
  const whole = new Uint8Array(length);
  let place = 0;
  for (const piece of pieces) {
    whole.set(piece, place);
    place += piece.length;
  }
  return whole;
}
