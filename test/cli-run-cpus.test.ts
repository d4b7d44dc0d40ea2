// `sluice run --cpus`: what threads make of a capture is what one makes of it.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { writePcap } from '../src/net/capture.ts';
import { generateCapture } from '../src/net/generator.ts';
import { withTempFolder } from './clang.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sluice = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/sluice.js'), 'run', ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};
const firewall = join(root, 'bpf/objects/xdp_firewall.bpf.o:xdp_firewall');

it('has the verdicts, packets and exit code of one CPU, and says what each CPU did', () =>
  withTempFolder((folder) => {
    const file = (name: string) => join(folder, name);
    writeFileSync(file('in.pcap'), writePcap(generateCapture({ seed: 3, count: 800 })));
    const one = sluice(firewall, '--pcap', file('in.pcap'), '--out', file('one.pcap'), '--json');
    const three = sluice(firewall, '--pcap', file('in.pcap'), '--out', file('three.pcap'), '--cpus', '3', '--json');
    expect([three.status, three.stderr]).toEqual([one.status, one.stderr]);
    const [a, b] = [JSON.parse(one.stdout), JSON.parse(three.stdout)];
    expect(b.verdicts).toEqual(a.verdicts);
    expect(readFileSync(file('three.pcap')).equals(readFileSync(file('one.pcap')))).toBe(true);
    expect(b.cpus.map(({ cpu }: { cpu: number }) => cpu)).toEqual([1, 2, 3]);
    const packets = b.cpus.map((each: { packets: number }) => each.packets);
    expect(packets.reduce((sum: number, each: number) => sum + each, 0)).toBe(b.packets - b.refused);
    expect(Math.min(...packets)).toBeGreaterThan(0);
  }));

it('refuses what is of one thread', () => {
  const refused = sluice(firewall, '--pcap', 'x', '--cpus', '2', '--engine', 'interpreter');
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('--cpus takes')]);
  expect(sluice(firewall, '--data-in', 'x', '--cpus', '2').status).toBe(2);
});
