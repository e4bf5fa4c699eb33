// The contract in the published package: copied from the checkout when it is packed, and removed afterwards, so that
// the one in the checkout stays the only one.

import { cpSync, rmSync } from 'node:fs';
import { original, packaged } from '../build/contract.js';

rmSync(packaged, { recursive: true, force: true });
if (process.argv[2] === 'copy') cpSync(original, packaged, { recursive: true });
