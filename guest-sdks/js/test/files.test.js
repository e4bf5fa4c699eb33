import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError, files, tool } from 'holster-sdk';
import { call, withHost } from 'holster-sdk/testing';
import { locate } from '../src/host/locate.js';

/** @param {import('node:test').TestContext} t */
function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'holster-sdk-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('files are read, written, listed and removed in the folders of the test', async (t) => {
  const [reports, drafts] = [folder(t), folder(t)];
  writeFileSync(join(reports, 'today'), 'calm');
  await withHost({ folders: { '/reports': reports, '/reports/drafts': drafts } }, () => {
    assert.equal(files.readText('/reports/today'), 'calm');
    assert.deepEqual(files.read('reports/./today'), Uint8Array.of(99, 97, 108, 109));
    files.write('/reports/drafts/b', 'grün');
    files.write('/reports/drafts/a', Uint8Array.of(0xff));
    files.makeFolder('/reports/drafts/c');
    assert.deepEqual(files.list('/reports/drafts'), ['a', 'b', 'c']);
    files.remove('/reports/drafts/c/../a');
    assert.deepEqual(files.list('/reports/drafts/'), ['b', 'c']);
  });
  assert.equal(readFileSync(join(drafts, 'b'), 'utf8'), 'grün');
});

test('what cannot be done has a code, and words for the model', async (t) => {
  const path = folder(t);
  writeFileSync(join(path, 'bytes'), Uint8Array.of(0xff));
  await withHost({ folders: { '/data': path } }, async () => {
    for (const [work, code, of_] of /** @type {[() => unknown, string, string][]} */ ([
      [() => files.read('/data/gone'), 'no-entry', '/data/gone'],
      [() => files.read('/etc/passwd'), 'no-entry', '/etc/passwd'],
      [() => files.read('/data/../etc/passwd'), 'no-entry', '/data/../etc/passwd'],
      [() => files.read('/data'), 'is-directory', '/data'],
      [() => files.list('/data/bytes'), 'not-directory', '/data/bytes'],
      [() => files.makeFolder('/data/bytes'), 'exist', '/data/bytes'],
      [() => files.readText('/data/bytes'), 'illegal-byte-sequence', '/data/bytes'],
    ])) {
      assert.throws(work, (error) => error instanceof FileError && error.code === code && error.path === of_);
    }
    const reads = tool({ name: 'it', description: 'It.', run: () => files.readText('/data/gone') });
    const refusal = { tag: 'failed', val: '/data/gone: there is no such file or folder' };
    await assert.rejects(call(reads, 'it', {}), refusal);
  });
});

test('without folders there is no file', () => {
  assert.throws(() => files.list('/'), { code: 'no-entry' });
});

test('a path lies in the folder with the longest name that it begins with, part by part', () => {
  /** @type {[string, string][]} */
  const folders = [
    ['all', '/'],
    ['reports', '/reports'],
    ['old', 'reports/old/'],
  ];
  for (const [path, folder, rest] of /** @type {[string, string, string][]} */ ([
    ['/reports/today', 'reports', 'today'],
    ['/reportsx/today', 'all', 'reportsx/today'],
    ['/reports/old/a/b', 'old', 'a/b'],
    ['/reports/old', 'old', '.'],
    ['../../reports/./old/../today', 'reports', 'today'],
  ])) {
    assert.deepEqual(locate(path, folders), [folder, rest], path);
  }
});
