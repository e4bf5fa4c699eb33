// Settings that the operator gave to this component, by name. They are no place for secrets: those are accounts.

import { getSetting } from '#host';
import { Unavailable, asking } from './errors.js';

/**
 * @param {string} name
 * @param {string} [otherwise]
 */
export function get(name, otherwise) {
  const refusal = (/** @type {{ val: string }} */ { val }) => new Unavailable(`the setting \`${name}\` cannot be read: ${val}`);
  return asking(() => getSetting(name), refusal) ?? otherwise;
}
