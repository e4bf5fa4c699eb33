// A host for tests of tools that run in Node.js, without a component: accounts and settings as the test gives them.

import { exportTools } from './component.js';
import { foldersOf } from './host/outside-folders.js';
import { setHost } from './host/outside.js';

/** @param {import('../testing.js').TestHost} host @param {() => unknown} work */
export async function withHost({ accounts = {}, settings = {}, folders = {}, profile = 'test', answer }, work) {
  setHost({
    askPerson(message) {
      if (!answer) throw { payload: { tag: 'unsupported', val: 'this test answers no questions; give it an `answer`' } };
      const entered = answer(message);
      return entered ? { tag: 'accept', val: JSON.stringify(entered) } : { tag: 'decline' };
    },
    getCredential(provider) {
      const account = accounts[provider];
      if (!account) throw { payload: { tag: 'not-declared', val: provider } };
      return handle(provider, profile, account);
    },
    getSetting: (name) => settings[name],
    ...foldersOf(folders),
  });
  try {
    return await work();
  } finally {
    setHost(undefined);
  }
}

/** @param {any} tools @param {string} name @param {object} args @param {{ profile?: string, thread?: string }} [of] */
export async function call(tools, name, args, { profile = 'test', thread = 'test' } = {}) {
  const deadline = BigInt(Date.now() + 60_000);
  return exportTools(tools).call(name, JSON.stringify(args), { thread, profile, deadline });
}

/** @param {string} provider @param {string} profile @param {import('../testing.js').TestAccount} account */
function handle(provider, profile, { token, label, scopes = [], expiresAt }) {
  return /** @type {import('holster:plugin/auth@0.1.0').Credential} */ ({
    provider: () => provider,
    profile: () => profile,
    account: () => label,
    scopes: () => scopes.toSorted(),
    expiresAt: () => (expiresAt === undefined ? undefined : BigInt(Math.floor(expiresAt.getTime() / 1000))),
    token: () => token,
    header: () => ({ name: 'Authorization', value: `Bearer ${token}` }),
    sign() {
      throw { payload: { tag: 'unsupported', val: 'an account of a test signs nothing' } };
    },
    [Symbol.dispose]() {},
  });
}
