// `sluice/linux` as the package exports it, by the control program that uses it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';

const root = new URL('../', import.meta.url).pathname;
const missing = bpfRefusal();

it('the package exports its entries and holds the guides', () => {
  const { exports, files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  expect(Object.keys(exports)).toEqual(['.', './linux', './testing']);
  expect(files).toContain('docs');
});

it.skipIf(missing !== undefined)(
  `nat.mjs attaches both programs${missing ? ` (skipped: ${missing})` : ''}`,
  async () => {
    // In a network namespace of its own, where loopback is as good as any interface.
    const words = ['-n', process.execPath, `${root}bpf/control/nat.mjs`, 'lo', '192.168.1.10', '203.0.113.10'];
    const child = spawn('unshare', words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let complaint = '';
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdout.on('data', (chunk) => {
      said += chunk;
      child.kill('SIGTERM');
    });
    expect(await ended).toBe(0);
    expect(complaint).toBe('');
    expect(said).toBe('lo: 192.168.1.10 is 203.0.113.10\n');
  },
  20_000,
);
