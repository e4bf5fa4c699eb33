// Settings that the operator gave to this component, by name. They are no place for secrets: those are accounts.

import { getSetting } from '#host';
import { Unavailable } from './errors.js';

/**
 * @param {string} name
 * @param {string} [otherwise]
 */
export function get(name, otherwise) {
  try {
    return getSetting(name) ?? otherwise;
  } catch (error) {
    const payload = /** @type {any} */ (error)?.payload;
    throw payload?.tag ? new Unavailable(`the setting \`${name}\` cannot be read: ${payload.val}`) : error;
  }
}
