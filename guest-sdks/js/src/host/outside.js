// The host outside a component, where there is none, unless a test puts one here: see `testing.js`.

/** @typedef {Pick<typeof import('./component.js'), 'getCredential' | 'getSetting'>} Host */

const WHY = 'there is no host outside a component; a test makes one with `withHost` of `holster-sdk/testing`';

/** @type {Host} */
const nobody = {
  getCredential() {
    throw { payload: { tag: 'unavailable', val: WHY } };
  },
  getSetting() {
    throw { payload: { tag: 'upstream', val: WHY } };
  },
};

let host = nobody;

/** @type {Host['getCredential']} */
export const getCredential = (provider) => host.getCredential(provider);
/** @type {Host['getSetting']} */
export const getSetting = (name) => host.getSetting(name);

/** @param {Host | undefined} next */
export function setHost(next) {
  host = next ?? nobody;
}
