// `sluice xdp path`, and traits in the captures that it and `sluice run` write. Runs the built command.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readCapture, writePcapng } from '../src/net/capture.ts';
import { generateCapture } from '../src/net/generator.ts';
import { comments } from '../src/net/pcapng-options.ts';
import { capturedTraits } from '../src/net/pcapng-traits.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sluice-path-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const way = join(root, 'bpf/objects/metadata/packet_way.bpf.o');
const chain = [`${way}:stamp`, `${way}:steer`];
const packets = generateCapture({ count: 10, seed: 3, malformedPercent: 0 });
writeFileSync(join(scratch, 'in.pcapng'), writePcapng(packets));
writeFileSync(
  join(scratch, 'network.json'),
  JSON.stringify({
    interfaces: [
      { index: 1, mac: '02:00:00:00:00:01' },
      { index: 2, mac: '02:00:00:00:00:02', peer: 3 },
      { index: 3, mac: '02:00:00:00:00:03', peer: 2 },
    ],
  }),
);
const settings = { way: 4, key: 0, store_hints: 1, edit: 0, copy_to: 0, copy_flags: 0, tc_verdict: 0, edited: 0 };
writeFileSync(join(scratch, 'devmap.json'), JSON.stringify({ '.bss': settings }));

function sluice(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), ...args], {
    cwd: scratch,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

const read = (name: string) => [...readCapture(readFileSync(join(scratch, name)))];

describe('xdp path', () => {
  it('prints the way of each packet, and where they ended', () => {
    const { status, stdout } = sluice('xdp', 'path', ...chain, `${way}:receive`, '--pcap', 'in.pcapng', '--show', '2');
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatch(
      /^ +1 {2}xdp stamp: PASS > xdp steer: PASS > skb > tc receive: UNSPEC > reader of 1 {2}\[1=02000000 5=0100000000000000 .*mark=2\]$/,
    );
    expect(lines.slice(2).map((line) => line.trim())).toEqual([
      '… and 8 more',
      'END                  PACKETS',
      'passed, interface 1       10',
    ]);
  });

  it('goes on where a cpumap leads to, on a thread or as if on one', () => {
    writeFileSync(join(scratch, 'cpumap.json'), JSON.stringify({ '.bss': { ...settings, way: 6, key: 1 } }));
    const args = ['xdp', 'path', ...chain, `${way}:receive`, '--maps', 'cpumap.json', '--element', 'cpus[1]=192:land'];
    const run = (...more: string[]) => sluice(...args, '--pcap', 'in.pcapng', '--json', ...more);
    const one = run();
    const many = run('--cpus', '1');
    expect([one.status, many.status, many.stderr]).toEqual([0, 0, '']);
    expect(JSON.parse(many.stdout)).toEqual(JSON.parse(one.stdout));
    expect(JSON.stringify(JSON.parse(many.stdout).packets[0])).toContain('land');
    expect(run('--cpus', '1', '--engine', 'interpreter')).toMatchObject({ status: 2 });
  });

  it('sends packets through a devmap to the peer, and writes what became of them', () => {
    const args = ['--network', 'network.json', '--maps', 'devmap.json', '--element', 'devices[0]=2:leave'];
    const { status, stdout } = sluice(
      ...['xdp', 'path', ...chain, '--at', `3=${way}:receive`, ...args, '--pcap', 'in.pcapng'],
      ...['--out', 'out.pcapng', '--json'],
    );
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ schema: 'sluice.xdp-path/1', count: 10, ends: { 'passed, interface 3': 10 } });
    expect(document.packets[4]).toMatchObject({
      index: 4,
      end: 'passed',
      skb: { mark: 5, hash: 0x1005, vlan: { protocol: 0x8100, tci: 5 }, hardwareTimestampNs: '5005' },
      traits: [
        { key: '1', name: null, value: '05000000' },
        { key: '2', value: '0200000000000000' },
        { key: '5', value: '0100000000000000' },
      ],
    });
    const out = read('out.pcapng');
    expect(out).toHaveLength(10);
    // The tag that stood beside the packet is in it again.
    expect([...out[4]!.data.subarray(12, 16)]).toEqual([0x81, 0, 0, 5]);
    expect(out[4]!.timestampNs).toBe(packets[4]!.timestampNs);
    expect(comments(out[4]!)[1]).toMatch(/^way: .*devmap\[0\] to 2 > devmap leave: PASS > sent by 2 > at 3 > skb/);
    expect(capturedTraits(out[4]!)!.map(({ key, name }) => name ?? key)).toEqual([
      1n,
      2n,
      5n,
      'rx_hash',
      'rx_hash_type',
      'rx_timestamp',
      'vlan',
    ]);
    // A capture with traits is where the next path goes on.
    const next = sluice(
      ...['xdp', 'path', `${way}:steer`, `${way}:receive`, '--pcap', 'out.pcapng', '--json'],
      ...['--goes-on', 'steer=XDP_PASS,tx,31'],
    );
    expect(JSON.parse(next.stdout).packets[4]).toMatchObject({ skb: { mark: 5, hash: 0x1005 } });
  });

  it('says what is wrong', () => {
    expect(sluice('xdp', 'path', ...chain)).toMatchObject({ status: 2 });
    expect(sluice('xdp', 'path', `${way}:leave`, '--generate', '1').stderr).toMatch(/no program of XDP or tc/);
    const wrong = sluice('xdp', 'path', ...chain, '--generate', '1', '--element', 'devices[0]=1:stamp');
    expect(wrong).toMatchObject({ status: 3 });
    expect(wrong.stderr).toMatch(/stamp is not one of section xdp\/devmap/);
  });
});

describe('run', () => {
  it('writes traits into captures and gives them to the next program', () => {
    const id = join(root, 'bpf/objects/metadata/packet_id.bpf.o');
    expect(sluice('run', `${id}:give_id`, '--pcap', 'in.pcapng', '--out', 'ids.pcapng')).toMatchObject({ status: 0 });
    expect(read('ids.pcapng').map((packet) => capturedTraits(packet))).toEqual(
      packets.map((_, i) => [{ key: 1n, value: Uint8Array.of(i + 1, 0, 0, 0) }]),
    );
    expect(comments(read('ids.pcapng')[0]!)).toEqual(['traits: 1=01000000']);
    expect(
      sluice('run', `${id}:mark_id`, '--pcap', 'ids.pcapng', '--out', 'marked.pcapng', '--engine', 'jit,interpreter'),
    ).toMatchObject({ status: 0 });
    expect(read('marked.pcapng').map((packet) => capturedTraits(packet)![0]!.value[0])).toEqual(
      packets.map((_, i) => i + 1),
    );
  });
});
