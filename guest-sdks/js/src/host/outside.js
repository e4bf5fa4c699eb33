// The host outside a component, where there is none, unless a test puts one here: see `testing.js`.

import { foldersOf } from './outside-folders.js';

/** @typedef {Omit<typeof import('./component.js'), 'logMessage' | 'reportProgress'>} Host */

const WHY = 'there is no host outside a component; a test makes one with `withHost` of `holster-sdk/testing`';

/** @type {Host} */
const nobody = {
  askPerson() {
    throw { payload: { tag: 'unsupported', val: WHY } };
  },
  getCredential() {
    throw { payload: { tag: 'unavailable', val: WHY } };
  },
  getSetting() {
    throw { payload: { tag: 'upstream', val: WHY } };
  },
  ...foldersOf({}),
};

let host = nobody;

/** @type {Host['askPerson']} */
export const askPerson = (message, schema) => host.askPerson(message, schema);
/** @type {typeof import('./component.js').logMessage} */
export const logMessage = () => {};
/** @type {typeof import('./component.js').reportProgress} */
export const reportProgress = () => {};
/** @type {Host['getCredential']} */
export const getCredential = (provider) => host.getCredential(provider);
/** @type {Host['getSetting']} */
export const getSetting = (name) => host.getSetting(name);
/** @type {Host['listFolder']} */
export const listFolder = (path) => host.listFolder(path);
/** @type {Host['makeFolder']} */
export const makeFolder = (path) => host.makeFolder(path);
/** @type {Host['readFile']} */
export const readFile = (path) => host.readFile(path);
/** @type {Host['removeFile']} */
export const removeFile = (path) => host.removeFile(path);
/** @type {Host['writeFile']} */
export const writeFile = (path, bytes) => host.writeFile(path, bytes);

/** @param {Host | undefined} next */
export function setHost(next) {
  host = next ?? nobody;
}
