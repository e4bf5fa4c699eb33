// Tests of tools in Node.js, without a component. `fetch` is the one of Node.js: point the tool's base URL at a server
// of the test.

import type { Tool } from './index.js';

export interface TestAccount {
  /** Sent as a bearer token. Nothing is sealed here, so take no real one. */
  token: string;
  label?: string;
  scopes?: string[];
  expiresAt?: Date;
}

export interface TestHost {
  /** By the provider's id. */
  accounts?: Record<string, TestAccount>;
  settings?: Record<string, string>;
  /** Folders of this machine, by the paths under which the tool sees them. It may read and write in them. */
  folders?: Record<string, string>;
  profile?: string;
  /** Stands for the person: gets the message of a question, and gives what is entered, or nothing to decline. */
  answer?: (message: string) => object | undefined;
}

/** Runs `work` with the accounts and settings of a test. One at a time. */
export function withHost<T>(host: TestHost, work: () => T | Promise<T>): Promise<T>;

export type Content =
  | { tag: 'text' | 'structured'; val: string }
  | { tag: 'image' | 'audio'; val: { data: Uint8Array; mimeType: string } }
  | { tag: 'resource-link'; val: { uri: string; name: string; description?: string; mimeType?: string } }
  | {
      tag: 'embedded-resource';
      val: { uri: string; mimeType?: string; contents: { tag: 'text'; val: string } | { tag: 'blob'; val: Uint8Array } };
    };

/**
 * Calls one of the tools that a module exports, as a host does.
 *
 * Rejects with a case of the contract, such as `{ tag: 'unauthorised', val: 'google' }`, where the tool refuses.
 */
export function call(
  tools: Tool | Tool[],
  name: string,
  args: object,
  of?: { profile?: string; thread?: string },
): Promise<{ content: Content[] }>;
