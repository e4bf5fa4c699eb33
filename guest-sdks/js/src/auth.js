// The accounts of the caller's profile.
//
// A tool declares what it needs, `auth: [{ provider: 'github', scopes: ['repo'] }]`, and asks for it by `get`. What it
// gets is a handle: the secret stays with the host, which puts it into the requests to the provider's own hosts.

import { getCredential } from '#host';
import { AuthError, asking } from './errors.js';

/** @typedef {import('holster:plugin/auth@0.1.0').Credential} Handle */

export class Credential {
  #handle;

  /** @param {Handle} handle */
  constructor(handle) {
    this.#handle = handle;
  }

  get provider() {
    return this.#handle.provider();
  }

  get profile() {
    return this.#handle.profile();
  }

  get account() {
    return this.#handle.account();
  }

  get scopes() {
    return this.#handle.scopes();
  }

  get expiresAt() {
    const seconds = this.#handle.expiresAt();
    return seconds === undefined ? undefined : new Date(Number(seconds) * 1000);
  }

  token() {
    return this.#handle.token();
  }

  header() {
    return this.#handle.header();
  }

  /**
   * @param {import('holster:plugin/auth@0.1.0').SignAlgorithm} algorithm
   * @param {Uint8Array | string} payload
   */
  sign(algorithm, payload) {
    const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
    return asking(() => this.#handle.sign(algorithm, bytes), refusal);
  }
}

/** @param {string} provider */
export function get(provider) {
  return new Credential(asking(() => getCredential(provider), refusal));
}

/** @param {{ tag: ConstructorParameters<typeof AuthError>[0], val: string }} payload */
function refusal({ tag, val }) {
  return new AuthError(tag, val);
}
