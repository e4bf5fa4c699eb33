// Where the contract lies: the copy that a published package carries, or the folder `wit` of the checkout.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const packaged = fileURLToPath(new URL('../wit', import.meta.url));
export const original = fileURLToPath(new URL('../../../wit', import.meta.url));

export function contractFolder() {
  const found = [packaged, original].find(holdsContract);
  if (!found) throw new Error(`the contract is not in ${packaged}; install holster-sdk anew`);
  return found;
}

/** @param {string} folder */
function holdsContract(folder) {
  const world = join(folder, 'world.wit');
  return existsSync(world) && readFileSync(world, 'utf8').includes('package holster:plugin@');
}
