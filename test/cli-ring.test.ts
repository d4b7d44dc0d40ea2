/** `sluice ring …` as scripts see it. Runs the built command. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTree, treeFormat } from '../src/bench/ring-files.ts';
import { ringRefusal } from '../src/linux/io-uring-features.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const refusal = ringRefusal();

function sluice(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), 'ring', ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

describe('ring features', () => {
  it.skipIf(refusal !== undefined)(`tells what there is${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
    const { status, stdout } = sluice('features');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^io_uring of Linux \d/);
    expect(stdout).toMatch(/requests: \d+\n +nop readv writev fsync/);
    const { linux } = JSON.parse(sluice('features', '--json').stdout) as { linux: { opcodes: string[] } };
    expect(linux.opcodes).toContain('read');
    expect(sluice('features', '--require', 'read').status).toBe(0);
    expect(sluice('features', '--require', 'teleport')).toMatchObject({
      status: 4,
      stderr: "this kernel has no request 'teleport'\n",
    });
  });

  it.skipIf(refusal === undefined)('says why there is nothing', () => {
    expect(sluice('features')).toMatchObject({ status: 4, stderr: `${refusal}\n` });
  });
});

describe.skipIf(refusal !== undefined)(`files and connections${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  let folder = '';
  const path = (name: string) => join(folder, name);
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) & 0xff));

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-cli-ring-'));
    writeFileSync(path('from'), content, { mode: 0o640 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('cp copies, records, and copies again from the record alone', () => {
    const copied = sluice('cp', path('from'), path('to'), '--record', path('record'), '--block', '65536', '--json');
    expect(copied.status).toBe(0);
    const { bytes, runs } = JSON.parse(copied.stdout) as { bytes: number; runs: number };
    expect([bytes, readFileSync(path('to')).equals(content)]).toEqual([content.length, true]);
    expect(statSync(path('to')).mode & 0o777).toBe(0o640);
    // Five blocks, each read and written.
    expect(runs).toBeGreaterThanOrEqual(10);
    const replayed = sluice(
      'cp',
      path('from'),
      path('other'),
      '--replay',
      path('record'),
      '--block',
      '65536',
      '--json',
    );
    expect(JSON.parse(replayed.stdout)).toMatchObject({ bytes: content.length });
  });

  it('trace shows what was asked, and writes it for Chrome', () => {
    const { status, stdout } = sluice('trace', path('record'), '--chrome', path('chrome'), '--json');
    expect(status).toBe(0);
    const { requests } = JSON.parse(stdout) as { requests: { opcode: string; results: number[] }[] };
    const read = requests.filter(({ opcode }) => opcode === 'read').flatMap(({ results }) => results);
    expect(read.reduce((sum, res) => sum + res, 0)).toBe(content.length);
    const { traceEvents } = JSON.parse(readFileSync(path('chrome'), 'utf8')) as { traceEvents: { name: string }[] };
    expect(traceEvents.map(({ name }) => name)).toEqual(requests.map(({ opcode }) => opcode));
  });

  it('cat goes on where standard output is', () => {
    writeFileSync(path('one'), 'one\n');
    writeFileSync(path('two'), 'two\n');
    expect(sluice('cat', path('one'), path('two')).stdout).toBe('one\ntwo\n');
  });

  it('lookup finds keys in a tree, and says which are not there', () => {
    const keys = makeTree(path('tree'), 2);
    writeFileSync(path('format'), JSON.stringify(treeFormat(2)));
    const { status, stdout } = sluice('lookup', path('tree'), '5', '960', String(keys + 1), '--format', path('format'));
    expect(stdout).toBe(
      `5: 0b00000000000000 (2 nodes read)\n960: 8107000000000000 (2 nodes read)\n${keys + 1}: not there (2 nodes read)\n`,
    );
    expect(status).toBe(1);
    expect(sluice('lookup', path('tree'), 'x', '--format', path('format')).status).toBe(2);
    expect(sluice('lookup', path('tree'), '1', '--format', path('one'))).toMatchObject({ status: 3 });
  });

  it('says what failed', () => {
    expect(sluice('cp', path('none'), path('x'))).toMatchObject({
      status: 3,
      stderr: `sluice: open ${path('none')}: ENOENT\n`,
    });
    expect(sluice('cp', path('from'), '/dev/full')).toMatchObject({ status: 3, stderr: 'sluice: copy: ENOSPC\n' });
  });

  it('cp and serve with several rings say what each of them did', async () => {
    const { stdout } = sluice('cp', path('from'), path('parts'), '--rings', '2', '--block', '4096', '--json');
    const { bytes, rings } = JSON.parse(stdout) as { bytes: number; rings: { bytes: number }[] };
    expect([bytes, rings.length, rings[0]!.bytes + rings[1]!.bytes]).toEqual([content.length, 2, content.length]);
    expect(rings.every((ring) => ring.bytes > 0)).toBe(true);
    expect(readFileSync(path('parts')).equals(content)).toBe(true);
    expect(sluice('cp', path('from'), path('parts'), '--rings', '2', '--record', path('r')).status).toBe(2);

    const server = spawn(process.execPath, [join(root, 'bin/sluice.js'), 'ring', 'serve', '--rings', '2', '--json']);
    let text = '';
    server.stdout.on('data', (data) => {
      text += data;
    });
    const ended = new Promise((resolve) => server.on('close', resolve));
    const port = await new Promise<number>((resolve) =>
      server.stderr.on('data', (data) => {
        const match = /127\.0\.0\.1:(\d+)/.exec(String(data));
        if (match) resolve(Number(match[1]));
      }),
    );
    const CONNECTIONS = 24;
    await Promise.all(
      Array.from(
        { length: CONNECTIONS },
        (_, i) =>
          new Promise<void>((resolve, reject) => {
            let got = 0;
            const socket = connect(port, '127.0.0.1', () => socket.write('x'.repeat(1 + i * 500)));
            socket.on('error', reject);
            socket.on('close', () => resolve());
            socket.on('data', ({ length }) => {
              got += length;
              if (got === 1 + i * 500) socket.end();
            });
          }),
      ),
    );
    server.kill('SIGTERM');
    await ended;
    const served = JSON.parse(text) as { accepted: number; bytes: number; rings: { accepted: number }[] };
    const sent = Array.from({ length: CONNECTIONS }, (_, i) => 1 + i * 500).reduce((sum, each) => sum + each, 0);
    expect(served).toMatchObject({ accepted: CONNECTIONS, bytes: sent, broken: 0, refused: 0 });
    expect(served.rings.map(({ accepted }) => accepted).reduce((sum, each) => sum + each)).toBe(CONNECTIONS);
    expect(served.rings).toHaveLength(2);
  });

  it('serve answers HTTP from below its folder alone', async () => {
    const server = spawn(process.execPath, [join(root, 'bin/sluice.js'), 'ring', 'serve', '--root', folder, '--json']);
    const ended = new Promise<string>((resolve) => {
      let text = '';
      server.stdout.on('data', (data) => {
        text += data;
      });
      server.on('close', () => resolve(text));
    });
    const port = await new Promise<string>((resolve) =>
      server.stderr.on('data', (data) => {
        const match = /127\.0\.0\.1:(\d+)/.exec(String(data));
        if (match) resolve(match[1]!);
      }),
    );
    const response = await fetch(`http://127.0.0.1:${port}/from`);
    expect([response.status, Buffer.from(await response.arrayBuffer()).equals(content)]).toEqual([200, true]);
    expect((await fetch(`http://127.0.0.1:${port}/..%2f..%2fetc/passwd`)).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' })).status).toBe(405);
    server.kill('SIGTERM');
    expect(JSON.parse(await ended)).toMatchObject({ answered: 3, bytes: content.length });
  });
});
