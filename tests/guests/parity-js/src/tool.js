// The JavaScript side of "one tool, three languages": its answers must equal those of its siblings word for word.

import {
  AskError,
  AuthError,
  Failed,
  InvalidArguments,
  RateLimited,
  Type,
  Unauthorised,
  Unavailable,
  auth,
  config,
  tool,
} from 'holster-sdk';
import { exit } from 'wasi:cli/exit@0.2.12';

const text = (description) => Type.String({ description });

const report = tool({
  name: 'report',
  description: 'Writes a short report.',
  behaviour: { readOnly: true, idempotent: true, openWorld: false },
  input: Type.Object({
    title: text('What the report is about.'),
    count: Type.Integer({ description: 'How many items it covers.', minimum: 1, maximum: 100, default: 10 }),
    ratio: Type.Number({ description: 'A share between nought and one.' }),
    urgent: Type.Boolean({ description: 'Whether it cannot wait.', default: false }),
    level: Type.Enum(['low', 'medium', 'high'], { description: 'How much detail.' }),
    tags: Type.Array(Type.String(), { description: 'Words to file it under.' }),
    author: Type.Object(
      { name: text('Who wrote it.'), email: Type.Optional(text('Where to reach them.')) },
      { description: 'The author.' },
    ),
    note: Type.Optional(text('Anything else.')),
  }),
  output: Type.Object({
    summary: text('One line.'),
    total: Type.Number({ description: 'count times ratio.' }),
    tags: Type.Array(Type.String(), { description: 'The words, sorted.' }),
    author: text("The author's name."),
    note: Type.Optional(text('The note, if there was one.')),
  }),
  run({ title, count, ratio, urgent, level, tags, author, note }) {
    const email = author.email === undefined ? '' : ` <${author.email}>`;
    return {
      summary: `${title} [${level}]${urgent ? '!' : ''} by ${author.name}${email}`,
      total: count * ratio,
      tags: tags.toSorted(),
      author: author.name,
      note,
    };
  },
});

const FAILURES = {
  'invalid-arguments': () => new InvalidArguments('as asked'),
  unauthorised: () => new Unauthorised('slack'),
  'rate-limited': () => new RateLimited(7),
  unavailable: () => new Unavailable('as asked'),
  failed: () => new Failed('as asked'),
};

const fail = tool({
  name: 'fail',
  description: 'Fails in the way that it is asked to.',
  input: Type.Object({ kind: Type.Enum(Object.keys(FAILURES), { description: 'The error to answer with.' }) }),
  run({ kind }) {
    throw FAILURES[kind]();
  },
});

const account = tool({
  name: 'account',
  description: 'Says which account it was given.',
  auth: [{ provider: 'slack', scopes: ['channels:history', 'channels:read'] }],
  output: Type.Object({
    provider: text('The provider.'),
    profile: text('The profile.'),
    account: Type.Optional(text("The account's label.")),
    scopes: Type.Array(Type.String(), { description: 'The scopes granted.' }),
    expires: Type.Boolean({ description: 'Whether it expires.' }),
    undeclared: text('What asking for another provider says.'),
    signature: text('What signing says.'),
  }),
  run() {
    const credential = auth.get('slack');
    const { provider, profile, account, scopes } = credential;
    const expires = credential.expiresAt !== undefined;
    return { provider, profile, account, scopes, expires, undeclared: undeclared(), signature: signature(credential) };
  },
});

function undeclared() {
  try {
    auth.get('github');
    return 'granted';
  } catch (error) {
    if (error instanceof AuthError) return `${error.reason}: ${error.detail}`;
    throw error;
  }
}

function signature(credential) {
  try {
    const bytes = credential.sign('hmac-sha256', 'payload');
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  } catch (error) {
    if (error instanceof AuthError && error.reason === 'unsupported') return 'unsupported';
    throw error;
  }
}

const whoami = tool({
  name: 'fetch',
  description: 'Asks the API who is calling.',
  auth: [{ provider: 'slack', scopes: ['channels:read'] }],
  output: Type.Object({
    status: Type.Integer({ description: 'The HTTP status.', minimum: 0 }),
    user: Type.Optional(text('Who the API says it is.')),
  }),
  async run() {
    const { name, value } = auth.get('slack').header();
    const response = await fetch(`${config.get('base_url', 'https://slack.com/api')}/auth.test`, {
      headers: { [name]: value },
    });
    if (response.status === 401) throw new Unauthorised('slack');
    if (response.status !== 200) return { status: response.status };
    const { user } = await response.json();
    return { status: 200, user };
  },
});

const VISIT = Type.Object({
  name: text('Who comes.'),
  guests: Type.Optional(Type.Integer({ description: 'How many they are.', minimum: 0 })),
  meal: Type.Enum(['fish', 'greens'], { description: 'What they eat.' }),
});

const invite = tool({
  name: 'invite',
  description: 'Asks who comes to dinner.',
  output: Type.Object({
    ended: text('How it ended.'),
    who: Type.Optional(text('Who comes, and to what.')),
  }),
  run(_, context) {
    context.log('info', 'it begins: é€😀');
    context.progress(1, 2.5, 'asking');
    try {
      const answer = context.ask('Who comes to dinner?', VISIT);
      if (answer.action !== 'accept') return { ended: answer.action };
      const { name, guests, meal } = answer.content;
      return { ended: 'accept', who: `${name} with ${guests ?? 'nobody'} for ${meal}` };
    } catch (error) {
      if (error instanceof AskError && error.reason === 'unsupported') return { ended: 'unsupported' };
      throw error;
    } finally {
      context.progress(2);
      context.log('warning', 'it ends');
    }
  },
});

let calls = 0;
const kept = [];

const MISUSES = {
  spin() {
    for (;;);
  },
  allocate() {
    const kept = [];
    for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
  },
  recurse() {
    const deeper = (depth) => deeper(depth + 1) + depth;
    return `done${deeper(0)}`;
  },
  print() {
    for (;;) console.log('a line that nobody asked for');
  },
  trap() {
    exit({ tag: 'err' });
  },
  large: () => 'x'.repeat(100_000_000),
  // How many calls the instance has served, and how many bytes of memory that is new to it somebody has used.
  remember() {
    calls += 1;
    const memory = new Uint8Array(1 << 20);
    const used = memory.filter((byte) => byte !== 0).length;
    kept.push(memory.fill(0xa5));
    return `${calls} ${used}`;
  },
};

const misuse = tool({
  name: 'misuse',
  description: 'Uses up what a call may use.',
  input: Type.Object({ kind: Type.Enum(Object.keys(MISUSES), { description: 'What to use up.' }) }),
  run({ kind }) {
    return MISUSES[kind]() ?? 'done';
  },
});

export default [report, fail, account, whoami, misuse, invite];
