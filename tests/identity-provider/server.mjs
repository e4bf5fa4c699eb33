// An authorisation server for tests: oidc-provider on 127.0.0.1, as strict as it can be set. Accounts need no password.
//
// It prints its issuer on the first line and ends when its input does. What the environment may set:
//   PORT        where it listens; by default any free port
//   AT_TTL      how many seconds an access token lives; by default 30
//   JITTER_MS   how many milliseconds the token endpoint waits before it answers
//   DPOP_NONCE  1: a proof has to hold a nonce of the server
// GET /__stats counts requests and lists errors; GET /__reset begins anew. GET /__rotate gives it other keys, and makes it sign
// in another way, if the query says so: /__rotate?ES256.
// Access tokens for a resource whose address ends in /mcp are JWTs (RFC 9068).
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { Provider } from 'oidc-provider';

const AT_TTL = Number(process.env.AT_TTL || 30);
const JITTER_MS = Number(process.env.JITTER_MS || 0);
const DPOP_NONCE = process.env.DPOP_NONCE === '1';

const GRANT_TYPES = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];
// Any port of these (RFC 8252 §7.3). The last two are of one host that knows this server by two names.
const LOOPBACK = [
  'http://127.0.0.1/callback',
  'http://[::1]/callback',
  'http://127.0.0.1/callback/idp',
  'http://127.0.0.1/callback/slack',
  'http://127.0.0.1/callback/twin',
  'http://127.0.0.1/sign-in/company/callback',
];
const publicClient = (client_id, more = {}) => ({
  client_id,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: GRANT_TYPES,
  redirect_uris: LOOPBACK,
  response_types: ['code'],
  ...more,
});
const confidentialClient = (client_id, client_secret, token_endpoint_auth_method, more = {}) => ({
  client_id,
  client_secret,
  token_endpoint_auth_method,
  grant_types: [...GRANT_TYPES, 'client_credentials'],
  redirect_uris: ['http://127.0.0.1:9666/callback'],
  response_types: ['code'],
  ...more,
});

// A client that is known by the document at its id (an https address, which no test may ask for).
const DOCUMENT = 'https://client.example.test/oauth/client.json';

// What it signs with. Identity tokens are always signed with RSA.
let signs = 'RS256';
const kinds = { RSA: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }], ES384: ['ec', { namedCurve: 'P-384' }] };
const newKey = (kind) => ({
  ...generateKeyPairSync(...kinds[kind]).privateKey.export({ format: 'jwk' }),
  kid: randomUUID(),
  use: 'sig',
});
const newKeys = () => ({ keys: ['RSA', 'ES256', 'ES384'].map(newKey) });

const empty = () => ({ token: 0, refresh: 0, code: 0, device: 0, cc: 0, revoke: 0, par: 0, register: 0, errors: [] });
let stats = empty();

const configuration = {
  clients: [
    publicClient('native'),
    publicClient('public', {
      application_type: 'web',
      redirect_uris: ['https://holster.example.test/sign-in/company/callback'],
    }),
    publicClient('without-refresh', { grant_types: ['authorization_code'] }),
    publicClient('par-only', { require_pushed_authorization_requests: true }),
    publicClient('dpop', { dpop_bound_access_tokens: true }),
    confidentialClient('conf-post', 'post-secret', 'client_secret_post'),
    confidentialClient('conf-basic', 'basic secret+%:/', 'client_secret_basic'),
    confidentialClient('desktop', 'planted-client-secret', 'client_secret_post', {
      application_type: 'native',
      redirect_uris: LOOPBACK,
    }),
  ],
  scopes: ['openid', 'offline_access', 'email', 'profile', 'files:read', 'files:write', 'channels:read', 'channels:history'],
  claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, email: `${id}@example.test`, name: id }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: AT_TTL,
    AuthorizationCode: 60,
    ClientCredentials: AT_TTL,
    DeviceCode: 120,
    Grant: 3600,
    IdToken: 60,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
  features: {
    clientCredentials: { enabled: true },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true, mask: '****-****', charset: 'base-20' },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => DPOP_NONCE },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async () => undefined,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_, audience) => ({
        audience,
        scope: 'files:read files:write tools',
        accessTokenTTL: AT_TTL,
        ...(audience.endsWith('/mcp')
          ? { accessTokenFormat: 'jwt', jwt: { sign: { alg: signs } } }
          : { accessTokenFormat: 'opaque' }),
      }),
    },
    revocation: { enabled: true },
  },
  cookies: { keys: ['test-only'] },
  fetch: async (url) => {
    if (String(url) !== DOCUMENT) throw new Error(`no network in tests: ${url}`);
    const document = publicClient(DOCUMENT, {
      client_name: 'A client with a document',
      grant_types: ['authorization_code', 'refresh_token'],
    });
    return Response.json(document);
  },
};

function answers(issuer) {
  const provider = new Provider(issuer, { ...configuration, jwks: newKeys() });
  for (const event of [
    'authorization.error',
    'grant.error',
    'pushed_authorization_request.error',
    'registration_create.error',
    'revocation.error',
    'server_error',
  ]) {
    provider.on(event, (_, error) => {
      stats.errors.push(`${event}: ${error.error ?? error.name}: ${error.error_description ?? error.message}`);
    });
  }
  provider.on('grant.revoked', () => stats.errors.push('grant.revoked'));
  return provider.callback();
}

function serve(issuer) {
  // What it remembers is kept by all of them together.
  let answer = answers(issuer);
  return async (request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/__stats') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(stats));
      return;
    }
    if (path === '/__reset') {
      stats = empty();
      response.end();
      return;
    }
    if (path === '/__rotate') {
      signs = request.url.split('?')[1] || signs;
      answer = answers(issuer);
      response.end();
      return;
    }
    if (request.method === 'POST' && path === '/token') {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const grant = form.get('grant_type') ?? '';
      stats.token += 1;
      if (grant === 'refresh_token') stats.refresh += 1;
      else if (grant === 'authorization_code') stats.code += 1;
      else if (grant.endsWith(':device_code')) stats.device += 1;
      else stats.cc += 1;
      if (JITTER_MS) await new Promise((done) => setTimeout(done, JITTER_MS));
      request.body = Object.fromEntries(form); // oidc-provider takes a body that was read already
    } else if (path === '/token/revocation') stats.revoke += 1;
    else if (request.method === 'POST' && path === '/request') stats.par += 1;
    else if (request.method === 'POST' && path === '/reg') stats.register += 1;
    answer(request, response);
  };
}

const server = http.createServer();
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', serve(issuer));
  console.log(issuer);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
