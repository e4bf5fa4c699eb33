// Reads and writes files, as its sibling in Python does.

import { Type, files, tool } from 'holster-sdk';

const path = Type.String({ description: 'Where it is.' });

const readReport = tool({
  name: 'read_report',
  description: 'Reads a file.',
  behaviour: { readOnly: true },
  input: Type.Object({ path }),
  run: ({ path }) => files.readText(path),
});

const writeReport = tool({
  name: 'write_report',
  description: 'Writes a file, and says what is beside it.',
  input: Type.Object({ path, text: Type.String({ description: 'What it says.' }) }),
  run({ path, text }) {
    files.write(path, text);
    return files.list(`${path}/..`).join(' ');
  },
});

export default [readReport, writeReport];
