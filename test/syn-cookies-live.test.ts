// bpf/xdp_syn_cookies.bpf.c on an interface of a network namespace: the kernel's own socket makes connections from the ACKs to our cookies.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const space = `slc${process.pid}`;
const link = `slc${process.pid}a`.slice(-15);
const refusal =
  bpfRefusal() ??
  (spawnSync('ip', ['netns', 'add', `${space}p`]).status === 0 ? undefined : 'no network namespace can be made');
if (refusal === undefined) spawnSync('ip', ['netns', 'del', `${space}p`]);

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (...args: string[]) => ['netns', 'exec', space, process.execPath, ...args];
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends `size` bytes and gives the answer. */
function talk(port: number, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '198.18.79.2', port, timeout: 5000 }, () => socket.write(new Uint8Array(size)));
    socket.on('data', (data) => resolve(String(data)));
    socket.on('error', reject);
    socket.on('timeout', () => reject(new Error('timeout')));
    socket.on('end', () => socket.end());
  });
}

describe.skipIf(refusal !== undefined)(`live${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-syn-'));
  const children: ReturnType<typeof spawn>[] = [];

  beforeAll(() => {
    ip('netns', 'add', space);
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
    ip('addr', 'add', '198.18.79.1/24', 'dev', link);
    ip('link', 'set', link, 'up');
    ip('-n', space, 'addr', 'add', '198.18.79.2/24', 'dev', 'eth0');
    ip('-n', space, 'link', 'set', 'eth0', 'up');
    ip('netns', 'exec', space, 'sysctl', '-qw', 'net.ipv4.tcp_syncookies=2', 'net.ipv4.tcp_timestamps=2');
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await wait(100);
    spawnSync('ip', ['link', 'del', link]);
    spawnSync('ip', ['netns', 'del', space]);
    rmSync(scratch, { recursive: true });
  });

  it('answers SYNs in the place of the stack, which takes the connections all the same', async () => {
    const maps = join(scratch, 'maps.json');
    const config = { refresh: 60_000_000_000, mss_ipv4: 1460, mss_ipv6: 1440, wscale: 7, strict: true };
    writeFileSync(maps, JSON.stringify({ services: [[443, { refreshed: 0 }]], '.data': { config } }));
    const server = `require('net').createServer((s) => { let n = 0; s.on('data', (d) => { n += d.length; if (n === 50000) s.end('got ' + n); }); }).listen(443)`;
    children.push(spawn('ip', inside('-e', server), { stdio: 'ignore' }));
    const object = join(root, 'bpf/objects/xdp_syn_cookies.bpf.o');
    const attach = ['xdp', 'attach', object, '--if', 'eth0', '--mode', 'generic', '--maps', maps, '--json'];
    const program = spawn('ip', inside(join(root, 'bin/sluice.js'), ...attach), {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(program);
    let out = '';
    program.stdout.on('data', (data) => {
      out += String(data);
    });
    for (let i = 0; i < 100 && !/prog\/xdp/.test(ip('-n', space, 'link', 'show', 'eth0')); i++) await wait(100);
    // The first SYN goes to the stack, which from then on believes in cookies; the others are answered by the program.
    for (let i = 0; i < 4; i++) expect(await talk(443, 50_000)).toBe('got 50000');
    const ended = new Promise((resolve) => program.on('close', resolve));
    program.kill('SIGINT');
    await ended;
    const { verdicts, maps: contents } = JSON.parse(out) as {
      verdicts: Record<string, number>;
      maps: Record<string, Record<string, string>>;
    }; // sluice.xdp/1
    expect(verdicts['XDP_TX']).toBe(3);
    expect(Object.keys(contents['flows']!)).toHaveLength(4);
  }, 30_000);
});
