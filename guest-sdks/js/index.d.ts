// Write Holster tools in JavaScript or TypeScript.
//
// `tool` declares one; the module's default export is a tool, or a list of tools; `holster-sdk build` makes a component
// of the module. `Type` has the schema builders of the package `typebox`, whose schemas are types as well.

import type { Static, TObject, TSchema } from 'typebox';

export * as Type from './type.js';
export type { Static, TSchema } from 'typebox';

/** A JSON Schema (2020-12): one of `Type`, or an object written by hand, for which TypeScript then knows no type. */
export type Schema = TSchema;

/** The values that a schema allows. */
export type Value<S extends Schema> = unknown extends Static<S> ? any : Static<S>;

/** What `tool` makes: to be exported, not to be looked into. */
export interface Tool {
  readonly definition: { readonly name: string };
}

/** An account that the tool needs. The host has it before the tool starts. */
export interface Requirement {
  /** The provider's id in the host's catalogue, such as `slack`. */
  provider: string;
  /** The scopes that the tool uses, in the provider's own spelling. */
  scopes?: string[];
}

/** Hints for the agent and the person, never a permission. What is left out is not said. */
export interface Behaviour {
  /** The tool changes nothing outside itself. */
  readOnly?: boolean;
  /** A change that it makes may remove or overwrite something. */
  destructive?: boolean;
  /** A second call with the same arguments has no further effect. */
  idempotent?: boolean;
  /** The tool reaches things that the host does not know in advance, such as the web. */
  openWorld?: boolean;
}

/** For whom, and until when, a call runs. */
export interface Context {
  /** The conversation that the call belongs to. */
  readonly thread: string;
  /** The profile whose accounts serve the call, such as `work`. */
  readonly profile: string;
  /** When the host will end the call; later by the time for which a person is asked. */
  readonly deadline: Date;
  /** How long that is from now, in milliseconds; 0 if it is overdue. */
  readonly timeLeft: number;
  /** Writes a message for the client's log, of at most 8 KiB. It holds no secret. */
  log(level: Level, message: string): void;
  /**
   * Says how far the call is, in whatever unit, and what it does, in at most 1 KiB of words. `done` grows from one report
   * to the next; ten a second are enough.
   */
  progress(done: number, total?: number, message?: string): void;
  /**
   * Asks the person that the call acts for, and waits; the time of the call stands still meanwhile.
   *
   * `message` says what is asked and why. `form` is an object of strings, numbers, booleans, choices, or lists of choices.
   * Never ask for a password, a token or any other secret: those are accounts, which a person connects on a page of the
   * host. What a person answers grants nothing.
   *
   * @throws {AskError}
   */
  ask<Form extends Schema>(message: string, form: Form): Answer<Value<Form>>;
}

/** How much a message matters (RFC 5424). */
export type Level = 'debug' | 'info' | 'notice' | 'warning' | 'error' | 'critical' | 'alert' | 'emergency';

/** What a person did with a question: they answered, do not want to, or closed it without a choice. */
export type Answer<Content> = { action: 'accept'; content: Content } | { action: 'decline' } | { action: 'cancel' };

interface About {
  /** Unique within the component. 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
  name: string;
  /** A name for people. At most 128 characters. */
  title?: string;
  /** What the tool does, for the model that chooses it. */
  description: string;
  /** The accounts that the tool needs, at most one for each provider. */
  auth?: Requirement[];
  /** How the tool behaves towards the world outside. */
  behaviour?: Behaviour;
}

type Awaitable<T> = T | Promise<T>;

/**
 * Declares a tool that answers with a value of the type `output`: an object as it is, anything else as `result` of an
 * object, a string as text.
 *
 * `input` is a `Type.Object`, left out where there are no parameters. Objects are closed, unless their schema has
 * `additionalProperties`. A parameter with a `default` may be left out of a call, and is then that.
 *
 * @throws {TypeError} where something is wrong with the declaration, which shows when the component is built.
 */
export function tool<Output extends Schema, Input extends Schema = TObject<{}>>(
  declaration: About & {
    input?: Input;
    output: Output;
    run(args: Value<Input>, context: Context): Awaitable<Value<Output>>;
  },
): Tool;

/** Declares a tool that answers with a text, with several pieces of content, with an object of any form, or not at all. */
export function tool<Input extends Schema = TObject<{}>>(
  declaration: About & {
    input?: Input;
    output?: undefined;
    run(args: Value<Input>, context: Context): Awaitable<string | Output | object | void>;
  },
): Tool;

/** An answer of several pieces, or of another kind than text and data. */
export class Output {
  /** Adds a text. */
  text(text: string): this;
  /** Adds a picture, such as an `image/png`. */
  image(data: Uint8Array, mimeType: string): this;
  /** Adds a sound, such as an `audio/mpeg`. */
  audio(data: Uint8Array, mimeType: string): this;
  /** Adds a link that the client may follow by itself. `uri` is absolute. */
  link(link: { uri: string; name: string; description?: string; mimeType?: string }): this;
  /** Adds a resource, whole: a text, or raw bytes. `uri` is absolute; the client need not be able to fetch it. */
  resource(resource: { uri: string; contents: string | Uint8Array; mimeType?: string }): this;
}

/** The accounts of the caller's profile. */
export namespace auth {
  /**
   * The credential for a provider that the tool declared.
   *
   * @throws {AuthError}
   */
  function get(provider: string): Credential;
}

/** Settings that the operator gave to this component, by name. */
export namespace config {
  /**
   * The setting, if the operator gave one.
   *
   * @throws {Unavailable}
   */
  function get(name: string): string | undefined;
  /** The setting, or the given value. */
  function get(name: string, otherwise: string): string;
}

/**
 * Files in the folders that the operator gave to this component, by the paths under which the operator put them: `/reports/today`.
 * There are no others.
 */
export namespace files {
  /**
   * All of a file.
   *
   * @throws {FileError}
   */
  function read(path: string): Uint8Array;
  /**
   * All of a file, which is a text in UTF-8.
   *
   * @throws {FileError}
   */
  function readText(path: string): string;
  /**
   * Makes a file, or replaces what one holds. A string is written as UTF-8.
   *
   * @throws {FileError}
   */
  function write(path: string, contents: string | Uint8Array): void;
  /**
   * The names of what is in a folder, sorted.
   *
   * @throws {FileError}
   */
  function list(path: string): string[];
  /**
   * Makes a folder in one that is there.
   *
   * @throws {FileError}
   */
  function makeFolder(path: string): void;
  /**
   * Removes a file.
   *
   * @throws {FileError}
   */
  function remove(path: string): void;
}

/** One account of the caller's profile at one provider, for the length of this call. The secret stays with the host. */
export interface Credential {
  /** The provider's id, as declared. */
  readonly provider: string;
  /** The profile that the account belongs to. */
  readonly profile: string;
  /** The account's label, for example a login or a workspace, where it is known. */
  readonly account: string | undefined;
  /** The scopes that were granted, sorted. May be more than the tool declared. */
  readonly scopes: string[];
  /** When the credential expires; `undefined` if it does not, or if nobody said. */
  readonly expiresAt: Date | undefined;
  /**
   * The sealed token: a stand-in that the host replaces by the secret in requests to the provider's own
   * hosts, and that is worthless anywhere else and after this call.
   */
  token(): string;
  /** The header that the provider expects, ready to be set on a request. */
  header(): { name: string; value: string };
  /**
   * Signs at most 1 MiB with the secret. A string is signed as UTF-8.
   *
   * @throws {AuthError} with the reason `unsupported` where the credential is not a key.
   */
  sign(algorithm: 'hmac-sha256' | 'hmac-sha512', payload: Uint8Array | string): Uint8Array;
}

/** The base of all errors that a tool answers with. Texts reach the model and the person, and hold no secret. */
export abstract class ToolError extends Error {}

/** The arguments satisfy the schema, but make no sense to the tool. */
export class InvalidArguments extends ToolError {
  constructor(message: string);
}

/** The provider with this id refused the credential (HTTP 401 or 403): the account must be connected anew. */
export class Unauthorised extends ToolError {
  constructor(provider: string);
  readonly provider: string;
}

/** The provider asks for patience. */
export class RateLimited extends ToolError {
  /** How long, in seconds, where the provider said so: a number, or the value of the field `Retry-After`. */
  constructor(retryAfter?: number | string | null);
  readonly retryAfter: number | undefined;
}

/** A service that the tool needs does not answer; the same call may succeed later. */
export class Unavailable extends ToolError {
  constructor(message: string);
}

/** Anything else. An error that is none of these becomes one, as `TypeName: message`. */
export class Failed extends ToolError {
  constructor(message: string);
}

/** Why a credential, or an operation with it, cannot be had. */
export class AuthError extends ToolError {
  readonly reason: 'not-declared' | 'unavailable' | 'unsupported';
  /** The provider that was not declared, or what happened. */
  readonly detail: string;
}

/** Why something cannot be done with a file. */
export class FileError extends ToolError {
  /** A code of `wasi:filesystem`, such as `no-entry` or `not-permitted`. */
  readonly code: string;
  /** The path, as it was given. */
  readonly path: string;
}

/** Why there is no answer to a question. */
export class AskError extends ToolError {
  /**
   * `unsupported`: nobody can be asked. `invalid`: the question is not as it has to be. `too-many`: the call, or the host,
   * has too many. `unanswered`: no answer came in time, or none that fits.
   */
  readonly reason: 'unsupported' | 'invalid' | 'too-many' | 'unanswered';
  /** What happened. */
  readonly detail: string;
}
