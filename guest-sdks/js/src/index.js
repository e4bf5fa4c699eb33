// What a tool author imports: `tool` declares one, `Type` describes its parameters, `auth` and `config` ask the host.

export * as Type from './type.js';
export * as auth from './auth.js';
export * as config from './config.js';
export * as files from './files.js';
export { AuthError, Failed, InvalidArguments, RateLimited, ToolError, Unauthorised, Unavailable } from './errors.js';
export { FileError } from './files.js';
export { Output } from './output.js';
export { AskError } from './session.js';
export { tool } from './tool.js';
