// The page's script: asks `/v1` for what there is, shows it, and listens to `/v1/events` for what changes.
//
// Whatever a tool, a provider or an account says of itself is put on the page as text, never as markup. The key, where
// one is needed, is kept for this tab alone and sent as a header only.

const KEY = 'holster.key';
/** How many calls are shown. */
const CALLS = 100;
/** After so many milliseconds without a word the server counts as gone: it says something every 15 seconds. */
const SILENCE = 40_000;
/** A stream that ends sooner than that, in milliseconds, is not begun anew at once. */
const SHORT = 5000;
/** The longest pause between two attempts to reach the server, in milliseconds. */
const LONGEST_PAUSE = 10_000;
/** A page that nobody has looked at for so many milliseconds stops listening. */
const HIDDEN = 30_000;
/** How many tools there are before one looks for them. */
const MANY_TOOLS = 8;
/** How many colours `look.css` has for tiles. */
const COLOURS = 8;

const at = (id) => document.getElementById(id);

// ---------------------------------------------------------------------------------------------------- asking

/** What the server refused, in its own words. */
class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function send(path, { method = 'GET', body, signal } = {}) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch(`/v1/${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Refused(response.status, problem.detail ?? `the server answered ${response.status}`);
}

async function ask(path, options) {
  return (await send(path, options)).json();
}

/** The events of a stream: each with its name and its data. */
async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split('\n');
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field('event') !== undefined) yield { name: field('event'), data: JSON.parse(field('data')) };
    }
  }
}

// ---------------------------------------------------------------------------------------------------- building

/** An element; what is not an element is put into it as text. */
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'press') element.addEventListener('click', value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...content.flat().filter((part) => ![undefined, null, false, ''].includes(part)));
  return element;
}

/** A text in which backticks mark what is code, as the server writes. */
function withCode(text) {
  return text.split('`').map((part, position) => (position % 2 === 1 ? make('code', {}, part) : part));
}

/** A sentence: with a capital at its beginning and a full stop at its end. */
function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}

const shown = new WeakMap();

/** Shows items in a list. What has not changed stays the element that it was, with its focus. */
function list(parent, items, key, build) {
  const before = shown.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const text = JSON.stringify(item);
    const known = before.get(key(item));
    now.set(key(item), known?.text === text ? known : { text, element: build(item) });
  }
  shown.set(parent, now);
  const wanted = [...now.values()].map(({ element }) => element);
  const stays = new Set(wanted);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  wanted.forEach((element, position) => {
    const there = parent.children[position];
    if (there !== element) parent.insertBefore(element, there ?? null);
  });
}

function tile(provider) {
  const colour = [...provider].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % COLOURS;
  const letter = titleOf(provider).charAt(0).toUpperCase();
  return make('span', { class: `tile tile-${colour}`, 'aria-hidden': 'true' }, letter);
}

function badge(text, kind = '') {
  return make('span', { class: `badge ${kind}` }, text);
}

/** A link that leaves this page; an address of any other kind is shown, not linked. */
function outside(url, text, label) {
  const known = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
  if (!known) return make('code', {}, url);
  const attributes = { class: 'button', href: url, target: '_blank', rel: 'noopener noreferrer', 'aria-label': label };
  return make('a', attributes, text);
}

// ---------------------------------------------------------------------------------------------------- time

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });

function fromNow(milliseconds) {
  const seconds = Math.round((milliseconds - Date.now()) / 1000);
  for (const [unit, length] of [['day', 86_400], ['hour', 3600], ['minute', 60]]) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 0 ? 'in less than a minute' : 'just now';
}

/** A time that stays right while it is shown. */
function time(milliseconds) {
  const date = new Date(milliseconds);
  return make('time', { datetime: date.toISOString(), title: absolute.format(date) }, fromNow(milliseconds));
}

setInterval(() => {
  for (const element of document.querySelectorAll('main time')) {
    element.textContent = fromNow(Date.parse(element.dateTime));
  }
}, 15_000);

function took(microseconds) {
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 1 : 0)} ms`;
  return `${(microseconds / 1e6).toFixed(1)} s`;
}

// ---------------------------------------------------------------------------------------------------- what there is

const there = {
  caller: null,
  tools: [],
  problems: [],
  profiles: [],
  accounts: [],
  providers: [],
  connections: new Map(),
  calls: [],
};

function titleOf(provider) {
  return there.providers.find(({ id }) => id === provider)?.title ?? provider;
}

/** What the tools need at a provider, all together. */
function needsAt(provider) {
  const scopes = there.tools.flatMap(({ requirements }) =>
    requirements.filter((requirement) => requirement.provider === provider).flatMap((requirement) => requirement.scopes));
  return [...new Set(scopes)].sort();
}

const readers = {
  async caller() {
    there.caller = await ask('caller');
    showCaller();
  },
  async providers() {
    there.providers = (await ask('providers')).providers;
    showProviders();
  },
  async tools() {
    const { tools, problems } = await ask('tools');
    Object.assign(there, { tools, problems });
    showTools();
    showAccounts();
  },
  async accounts() {
    const [{ profiles }, { accounts }] = await Promise.all([ask('profiles'), ask('accounts')]);
    Object.assign(there, { profiles, accounts });
    showAccounts();
  },
  async connections() {
    const { connections } = await ask('connections');
    there.connections = new Map(connections.map((connection) => [connection.id, connection]));
    showConnections();
  },
  async calls() {
    there.calls = (await ask(`calls?limit=${CALLS}`)).calls;
    showCalls();
  },
};

/** Reads something anew; what is asked for while it is being read is read once more, once. */
const reading = new Map();
async function read(what) {
  if (reading.has(what)) {
    reading.set(what, true);
    return;
  }
  reading.set(what, false);
  try {
    await readers[what]();
  } finally {
    const again = reading.get(what);
    reading.delete(what);
    if (again) read(what).catch(complain);
  }
}

async function readAll() {
  // Titles first: everything else is shown with them.
  await Promise.all([read('caller'), read('providers')]);
  // Tools may be compiling for a while; nothing else waits for them.
  const tools = read('tools').catch(complain);
  await Promise.all([read('accounts'), read('connections'), read('calls')]);
  at('main').removeAttribute('aria-busy');
  await tools;
}

// ---------------------------------------------------------------------------------------------------- showing

function showCaller() {
  const { tenant, profile } = there.caller;
  const user = tenant === 'local' ? 'You, on this machine' : `For ${tenant}`;
  at('caller').textContent = profile === null ? user : `${user}, profile ${profile} alone`;
  if (profile !== null) {
    at('profile').value = profile;
    at('profile').readOnly = true;
  }
  at('key').textContent = sessionStorage.getItem(KEY) === null ? 'Use a key…' : 'Forget the key';
}

function showProviders() {
  const option = ({ id, title }) => make('option', { value: id }, title);
  at('provider').replaceChildren(...there.providers.map(option));
}

function showTools() {
  list(at('problems'), there.problems, ({ file, reason }) => `${file} ${reason}`, ({ file, reason }) =>
    make('li', {}, make('strong', {}, make('code', {}, file), ' is not served. '), withCode(sentence(reason))));
  at('find').hidden = there.tools.length <= MANY_TOOLS;
  at('no-tools').hidden = there.tools.length > 0;
  const wanted = at('find').hidden ? '' : at('find-text').value.trim().toLowerCase();
  const fits = (tool) => [tool.name, tool.title ?? '', tool.description, tool.component ?? '']
    .some((text) => text.toLowerCase().includes(wanted));
  const found = there.tools.filter(fits);
  at('none-found').hidden = found.length > 0 || there.tools.length === 0;
  at('tool-count').textContent = there.tools.length === 0 ? '' : String(there.tools.length);
  list(at('tools'), found, ({ name }) => name, toolItem);
}

function toolItem(tool) {
  const { read_only: readOnly, destructive, idempotent, open_world: openWorld } = tool.behaviour;
  const hints = [
    readOnly === true && badge('reads only', 'good'),
    destructive === true && badge('may delete or overwrite', 'bad'),
    idempotent === true && badge('safe to repeat'),
    openWorld === true && badge('reaches outside'),
  ].filter(Boolean);
  const needs = tool.requirements.map(({ provider, scopes }) =>
    badge(scopes.length === 0 ? `needs ${titleOf(provider)}` : `needs ${titleOf(provider)}: ${scopes.join(', ')}`, 'need'));
  const description = make('p', { class: 'description' }, tool.description);
  const item = make('li', {},
    make('h3', {}, tool.title ?? tool.name),
    make('p', { class: 'note' }, tool.title !== null && [make('code', {}, tool.name), ' '],
      tool.component === null ? 'of the host itself' : ['from ', make('code', {}, tool.component)]),
    description,
    make('p', { class: 'badges' }, needs, hints));
  // About four lines.
  if (tool.description.length > 280 || tool.description.split('\n').length > 4) {
    description.classList.add('long');
    const more = make('button', { type: 'button', class: 'link', 'aria-expanded': 'false' }, 'Show all of it');
    more.addEventListener('click', () => {
      const open = description.classList.toggle('open');
      more.setAttribute('aria-expanded', String(open));
      more.textContent = open ? 'Show less' : 'Show all of it';
    });
    description.after(more);
  }
  return item;
}

function showAccounts() {
  const names = there.profiles.map(({ name }) => name);
  list(at('profile-names'), names, (name) => name, (name) => make('option', { value: name }));
  if (at('profile').value === '') {
    at('profile').value = there.profiles.find((profile) => profile.default)?.name ?? names[0] ?? '';
  }
  const needed = [...new Set(there.tools.flatMap(({ requirements }) => requirements.map(({ provider }) => provider)))];
  const profiles = there.profiles.map((profile) => {
    const accounts = there.accounts.filter((account) => account.profile === profile.name);
    const missing = needed
      .filter((provider) => !accounts.some((account) => account.provider === provider))
      .sort()
      .map((provider) => ({
        provider,
        tools: there.tools.filter(({ requirements }) =>
          requirements.some((requirement) => requirement.provider === provider)).map(({ name }) => name),
      }));
    return { name: profile.name, accounts, missing, titles: there.providers.length };
  });
  list(at('profiles'), profiles.map(({ name }) => name), (name) => name, (name) =>
    make('section', { 'aria-label': `Profile ${name}` },
      make('h3', {}, 'Profile ', make('strong', {}, name)),
      make('ul', { class: 'rows' }),
      make('p', { class: 'empty' }, 'No account yet, and no tool needs one. Connect one below.')));
  profiles.forEach((profile, position) => {
    const [, rows, empty] = at('profiles').children[position].children;
    const items = [...profile.accounts, ...profile.missing];
    empty.hidden = items.length > 0;
    list(rows, items, ({ provider }) => provider, (item) =>
      (item.tools === undefined ? accountItem(item) : missingItem(profile.name, item)));
  });
}

function accountItem(account) {
  const { provider, profile, problem, scopes, expires_at: expires } = account;
  const title = titleOf(provider);
  const notes = make('p', { class: 'note' });
  if (expires !== null) {
    const until = expires * 1000;
    notes.append(until > Date.now() ? 'Its token ends ' : 'Its token ended ', time(until), '. ');
  }
  if (!account.disconnectable) notes.append('It stands in the configuration. ');
  const allowed = scopes !== null && scopes.length > 0 && make('details', {},
    make('summary', {}, scopes.length === 1 ? 'One scope' : `${scopes.length} scopes`),
    make('ul', { class: 'scopes' }, scopes.map((scope) => make('li', {}, make('code', {}, scope)))));
  const buttons = make('div', { class: 'acts' },
    problem !== null && account.disconnectable && connectButton('Connect again', provider, profile),
    account.disconnectable && make('button', {
      type: 'button',
      class: 'plain danger',
      'aria-label': `Disconnect ${title} of profile ${profile}`,
      press: () => disconnect(account),
    }, 'Disconnect'));
  return make('li', {}, tile(provider),
    make('div', { class: 'what' },
      make('p', { class: 'title' }, make('strong', {}, title),
        account.account !== null && make('span', { class: 'label' }, account.account),
        account.default && badge('default', 'good')),
      problem !== null && make('p', { class: 'problem' }, withCode(sentence(problem))),
      notes.childNodes.length > 0 && notes,
      allowed),
    buttons);
}

function missingItem(profile, { provider, tools }) {
  const title = titleOf(provider);
  return make('li', { class: 'missing' }, tile(provider),
    make('div', { class: 'what' },
      make('p', { class: 'title' }, make('strong', {}, title)),
      make('p', { class: 'note' }, 'Not connected; needed by ',
        tools.slice(0, 3).flatMap((tool, position) => [position > 0 ? ', ' : '', make('code', {}, tool)]),
        tools.length > 3 && ` and ${tools.length - 3} more`, '.')),
    make('div', { class: 'acts' }, connectButton('Connect', provider, profile)));
}

function connectButton(text, provider, profile) {
  return make('button', {
    type: 'button',
    class: 'soft',
    'aria-label': `${text}: ${titleOf(provider)} for profile ${profile}`,
    press: (event) => connect(provider, profile, event.currentTarget),
  }, text);
}

const PENDING = {
  created: 'Nobody has opened its page yet',
  waiting: 'Opened; waiting for the answer',
};

function showConnections() {
  const pending = [...there.connections.values()].filter(({ state }) => state in PENDING);
  at('no-waiting').hidden = pending.length > 0;
  list(at('waiting'), pending, ({ id }) => id, (connection) => {
    const { provider, profile, state, url, expires_at: expires } = connection;
    const title = titleOf(provider);
    return make('li', {}, tile(provider),
      make('div', { class: 'what' },
        make('p', { class: 'title' }, make('strong', {}, title), make('span', { class: 'label' }, `for profile ${profile}`)),
        make('p', { class: 'note' }, `${PENDING[state]}. It expires `, time(expires * 1000), '.')),
      make('div', { class: 'acts' },
        url !== null && outside(url, 'Open', `Open the page that connects ${title} for profile ${profile}`)));
  });
}

/** An origin as browsers write it: without the port that goes without saying. */
function plainOrigin(origin) {
  return URL.canParse(origin) ? new URL(origin).origin : origin;
}

const ENDS = { finished: 'good', interrupted: 'wait', failed: 'bad', cancelled: '' };

function showCalls() {
  at('call-table').hidden = there.calls.length === 0;
  at('no-calls').hidden = there.calls.length > 0;
  list(at('calls'), there.calls, ({ number }) => number, callRow);
}

function callRow(call) {
  const cell = (label, ...content) => make('td', { 'data-label': label }, ...content);
  const accounts = call.accounts.map(({ provider, profile, account }) =>
    make('div', {}, `${titleOf(provider)} `, make('span', { class: 'label' }, account ?? '', ` (${profile})`)));
  const hosts = call.hosts.map(({ origin, requests, refused }) => make('div', {}, make('code', {}, plainOrigin(origin)),
    requests > 1 && ` ${requests} times`,
    refused > 0 && make('span', { class: 'problem' }, ` ${refused} refused`)));
  const none = make('span', { class: 'label' }, '—');
  return make('tr', {},
    cell('When', time(call.began_at_ms)),
    cell('Tool', make('code', {}, call.tool),
      call.hash !== null && make('div', { class: 'note', title: `The component ${call.component}, by its content` },
        `${call.component} ${call.hash}`)),
    cell('With', accounts.length > 0 ? accounts : call.profile === null ? none : `profile ${call.profile}`,
      make('div', { class: 'note' }, `thread ${call.thread}`)),
    cell('Where it went', hosts.length > 0 ? hosts : none),
    make('td', { 'data-label': 'Took', class: 'number' }, took(call.duration_us)),
    cell('Ended', badge(call.ended, ENDS[call.ended]),
      call.reason !== null && make('div', { class: 'reason' }, withCode(sentence(call.reason)))));
}

/** Says something beside everything else; good news goes by itself. */
function notice(kind, ...content) {
  const said = make('div', { class: `notice ${kind}` }, make('p', {}, ...content),
    make('button', { type: 'button', class: 'link', 'aria-label': 'Close this message', press: () => said.remove() }, '✕'));
  at('notices').append(said);
  if (kind === 'good') setTimeout(() => said.remove(), 10_000);
  return said;
}

function complain(error) {
  if (error.name === 'AbortError') return;
  if (error instanceof Refused && error.status === 401) {
    askKey(error.message);
    return;
  }
  notice('bad', withCode(sentence(error instanceof Refused ? error.message : 'the server does not answer')));
}

// ---------------------------------------------------------------------------------------------------- acting

async function connect(provider, profile, button) {
  button.disabled = true;
  try {
    const body = { provider, scopes: needsAt(provider), for: { profile, thread: 'page' } };
    const connection = await ask('connections', { method: 'POST', body });
    there.connections.set(connection.id, connection);
    showConnections();
    window.open(connection.url, '_blank', 'noopener,noreferrer');
    notice('good', `The page that connects ${titleOf(provider)} opens in a new tab. If it does not, it is under “Waiting for you”.`);
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

const RESULTS = {
  revoked: 'and the provider was told to end its access',
  revoked_later: 'and the provider, which does not answer now, will be told to end its access',
  not_revoked: 'but the provider was not told: end its access there',
  forgotten: 'and nothing of it is left here',
};

async function disconnect({ provider, profile, account }) {
  const title = titleOf(provider);
  at('confirm-title').textContent = `Disconnect ${title}?`;
  at('confirm-text').textContent = `The account ${account === null ? '' : `${account} `}of the profile ${profile} is forgotten`
    + ' here, and the provider is told. Tools that need it will ask for it again.';
  if (!await confirmed()) return;
  try {
    const { result } = await ask(`accounts/${encodeURIComponent(profile)}/${encodeURIComponent(provider)}`, { method: 'DELETE' });
    notice(result === 'not_revoked' ? 'bad' : 'good', `${title} of the profile ${profile} is disconnected, ${RESULTS[result]}.`);
  } catch (error) {
    complain(error);
  }
  read('accounts').catch(complain);
}

/** Whether the person says yes. */
function confirmed() {
  const dialog = at('confirm');
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

at('connect').addEventListener('submit', (event) => {
  event.preventDefault();
  connect(at('provider').value, at('profile').value, event.submitter ?? at('connect').querySelector('button'));
});

at('find-text').addEventListener('input', showTools);

/** Asks for a key; says what is wrong with the one that there is. */
function askKey(problem) {
  const had = sessionStorage.getItem(KEY) !== null;
  at('key-problem').replaceChildren(...(had ? withCode(sentence(problem)) : []));
  say('key', 'A key is needed');
  if (!at('ask-key').open) at('ask-key').showModal();
}

at('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at('key-text').value.trim());
  at('key-text').value = '';
  at('ask-key').close();
  begin();
});

at('key-cancel').addEventListener('click', () => at('ask-key').close());

at('key').addEventListener('click', () => {
  if (sessionStorage.getItem(KEY) === null) {
    at('key-problem').replaceChildren();
    at('ask-key').showModal();
    return;
  }
  sessionStorage.removeItem(KEY);
  // Nothing of the other user stays on the page.
  location.reload();
});

// ---------------------------------------------------------------------------------------------------- listening

function say(state, text) {
  at('state').dataset.state = state;
  at('state').textContent = text;
  if (state === 'live') at('gone').hidden = true;
}

const OVER = {
  connected: ({ provider, profile, account }) => ['good',
    `${titleOf(provider)} of the profile ${profile} is connected${account === null ? '' : ` as ${account}`}.`],
  refused: ({ provider, profile, reason }) => ['bad',
    `${titleOf(provider)} of the profile ${profile} was not connected. `, withCode(sentence(reason))],
  expired: ({ provider, profile }) => ['bad',
    `Nobody connected ${titleOf(provider)} for the profile ${profile} in time. Ask for it again.`],
};

const taken = {
  hello: () => readAll(),
  tools: () => read('tools'),
  accounts: () => read('accounts'),
  connection: (connection) => {
    const known = there.connections.get(connection.id)?.state;
    there.connections.set(connection.id, connection);
    showConnections();
    if (known !== connection.state) {
      const said = OVER[connection.state]?.(connection);
      if (said !== undefined) notice(...said);
    }
  },
  call: (call) => {
    if (there.calls.some(({ number }) => number === call.number)) return;
    there.calls = [call, ...there.calls].sort((one, other) => other.number - one.number).slice(0, CALLS);
    showCalls();
  },
};

/** What ends the listening under way. */
let listening = new AbortController();

/** Listens until it is told to end, or nobody is let in. */
async function listen(controller) {
  const { signal } = controller;
  for (let failures = 0; !signal.aborted;) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    signal.addEventListener('abort', end);
    let silence = setTimeout(end, SILENCE);
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE);
    };
    let reason = 'The server does not answer';
    const start = Date.now();
    try {
      const response = await send('events', { signal: attempt.signal });
      for await (const { name, data } of eventsOf(response.body, heard)) {
        if (name === 'hello') {
          failures = 0;
          say('live', 'Live');
        }
        Promise.resolve(taken[name]?.(data)).catch(complain);
      }
      // It ended in good order: the server ends, or wants to know anew who is there.
      if (Date.now() - start < SHORT) failures += 1;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status === 401) {
        askKey(error.message);
        return;
      }
      if (error instanceof Refused) reason = sentence(error.message).slice(0, -1);
      failures += 1;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', end);
    }
    if (failures > 0) await pause(failures, reason, signal);
  }
}

/** Waits before the next attempt, and says so. */
async function pause(failures, reason, signal) {
  const until = Date.now() + Math.min(500 * 2 ** failures, LONGEST_PAUSE);
  say('gone', 'Not connected');
  at('gone').replaceChildren(...withCode(`${reason}. What you see may be old; trying again every few seconds.`));
  at('gone').hidden = false;
  while (Date.now() < until && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 100));
}

function begin() {
  listening.abort();
  listening = new AbortController();
  say('connecting', 'Connecting…');
  listen(listening);
}

// A browser opens few connections to a server: a page that nobody looks at leaves them to others.
let hidden;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.hidden) {
    hidden = setTimeout(() => {
      listening.abort();
      say('connecting', 'Paused');
    }, HIDDEN);
  } else if (listening.signal.aborted && !at('ask-key').open) {
    begin();
  }
});

begin();
