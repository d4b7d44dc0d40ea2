/** bpf_fib_lookup and bpf_check_mtu over a modelled network, and over the same network of the kernel in a namespace of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load, type Network } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { parseIpv4, parseIpv6 } from '../src/net/addresses.ts';
import { writeObject } from '../src/object/write.ts';

/** Copies 64 bytes of the packet to the stack, looks up with the flags behind them, and copies them back. */
const words = Array.from({ length: 8 }, (_, i) => 8 * i);
const program = (check: string) => `p:
  r6 = r1
  r7 = *(u32 *)(r1 + 0)
  r2 = *(u32 *)(r1 + 4)
  r3 = r7
  r3 += 68
  if r3 > r2 goto out
${words.map((at) => `  r1 = *(u64 *)(r7 + ${at})\n  *(u64 *)(r10 - ${64 - at}) = r1`).join('\n')}
  r4 = *(u32 *)(r7 + 64)
  r1 = r6
${check}
${words.map((at) => `  r1 = *(u64 *)(r10 - ${64 - at})\n  *(u64 *)(r7 + ${at}) = r1`).join('\n')}
  exit
out:
  r0 = 99
  exit`;

function object(text: string): Uint8Array {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  return writeObject({ section: 'xdp', license: 'GPL', insns, functions });
}

const fib = object(program('  r2 = r10\n  r2 += -64\n  r3 = 64\n  call 69'));

interface Question {
  readonly dst: string;
  readonly index?: number;
  readonly flags?: number;
  readonly length?: number;
  readonly table?: number;
  readonly family?: number;
}

const DIRECT = 1;
const OUTPUT = 2;
const SKIP = 4;
const TABLE = 8;
const SOURCE = 16;

function paramsOf({ dst, index = IN, flags = 0, length = 0, table = 0, family }: Question): Uint8Array {
  const bytes = new Uint8Array(72);
  const view = new DataView(bytes.buffer);
  const ip = dst.includes(':') ? parseIpv6(dst) : parseIpv4(dst);
  view.setUint8(0, family ?? (ip.length === 4 ? 2 : 10));
  view.setUint16(6, length, true);
  view.setUint32(8, index, true);
  bytes.set(ip, 32);
  view.setUint32(48, table, true);
  view.setUint32(64, flags, true);
  return bytes;
}

const IN = 101;
const OUT = 102;
const STILL = 103;
const network: Network = {
  interfaces: [
    { index: 1, mac: '00:00:00:00:00:00', mtu: 65536, forwards: false, ipv4: '127.0.0.1', ipv6: '::1' },
    { index: IN, mac: '02:00:00:00:00:01', ipv4: '10.1.0.1', ipv6: 'fd01::1' },
    { index: OUT, mac: '02:00:00:00:00:02', mtu: 1400, ipv4: '10.2.0.1', ipv6: 'fd02::1' },
    { index: STILL, mac: '02:00:00:00:00:03', forwards: false, ipv4: '10.3.0.1' },
  ],
  routes: [
    { to: '10.1.0.1', type: 'local', interface: IN },
    { to: '10.1.0.0/24', interface: IN, source: '10.1.0.1' },
    { to: '10.2.0.0/24', interface: OUT, source: '10.2.0.1' },
    { to: '10.3.0.0/24', interface: STILL, source: '10.3.0.1' },
    { to: '192.0.2.0/24', via: '10.2.0.9', interface: OUT, metric: 7 },
    { to: '192.0.2.0/25', via: '10.2.0.8', interface: OUT },
    { to: '192.0.2.128/25', via: '10.2.0.9', interface: OUT, mtu: 1300, source: '10.1.0.1' },
    { to: '198.51.100.0/24', via: 'fd02::9', interface: OUT },
    { to: '203.0.113.0/28', type: 'blackhole' },
    { to: '203.0.113.16/28', type: 'unreachable' },
    { to: '203.0.113.32/28', type: 'prohibit' },
    { to: '203.0.113.64/26', via: '10.2.0.9', interface: OUT, table: 77 },
    { to: 'fd02::/64', interface: OUT, metric: 256 },
    { to: 'fd80::/16', via: 'fd02::9', interface: OUT, metric: 1024 },
    { to: 'fd81::/32', type: 'blackhole', metric: 1024 },
  ],
  neighbours: [
    { interface: OUT, address: '10.2.0.9', mac: '02:00:00:00:09:09' },
    { interface: OUT, address: 'fd02::9', mac: '02:00:00:00:09:0a' },
  ],
};

const questions: readonly Question[] = [
  { dst: '10.2.0.9' },
  { dst: '10.2.0.10' },
  { dst: '10.1.0.1' },
  { dst: '172.16.0.1' },
  ...['192.0.2.1', '192.0.2.200'].flatMap((dst) =>
    [0, SKIP, DIRECT, SOURCE, SOURCE | SKIP, OUTPUT].map((flags) => ({ dst, flags })),
  ),
  { dst: '192.0.2.200', flags: OUTPUT, index: OUT },
  { dst: '192.0.2.200', flags: OUTPUT | DIRECT, index: IN },
  { dst: '192.0.2.200', length: 1300 },
  { dst: '192.0.2.200', length: 1301 },
  { dst: '10.2.0.9', length: 1400 },
  { dst: '10.2.0.9', length: 1401 },
  { dst: '198.51.100.7' },
  { dst: '198.51.100.7', flags: SKIP },
  { dst: '203.0.113.1' },
  { dst: '203.0.113.17' },
  { dst: '203.0.113.33' },
  { dst: '203.0.113.65' },
  { dst: '203.0.113.65', flags: DIRECT | TABLE, table: 77 },
  { dst: '203.0.113.65', flags: DIRECT | TABLE, table: 78 },
  { dst: '203.0.113.65', flags: DIRECT },
  { dst: '10.2.0.9', index: STILL },
  { dst: '10.2.0.9', index: 1 },
  { dst: '10.2.0.9', index: 999 },
  { dst: '10.2.0.9', family: 7 },
  { dst: '10.2.0.9', flags: 64 },
  { dst: 'fd80::7' },
  { dst: 'fd80::7', flags: SKIP | SOURCE },
  { dst: 'fd80::7', length: 1401 },
  { dst: 'fd02::9', flags: DIRECT },
  { dst: 'fd02::8', flags: DIRECT },
  { dst: 'fd81::1' },
  { dst: 'fd90::1' },
];

const setup = [
  ...[IN, OUT, STILL].flatMap((index, i) => [
    `link add name d${index} index ${index} address 02:00:00:00:00:0${i + 1} mtu ${index === OUT ? 1400 : 1500} type veth peer name p${index}`,
    `link set dev p${index} up`,
    `link set dev d${index} up`,
    `addr add 10.${i + 1}.0.1/24 dev d${index}`,
  ]),
  `addr add fd01::1/64 dev d${IN} nodad`,
  `addr add fd02::1/64 dev d${OUT} nodad`,
  `route add 192.0.2.0/24 via 10.2.0.9 metric 7`,
  `route add 192.0.2.0/25 via 10.2.0.8`,
  `route add 192.0.2.128/25 via 10.2.0.9 mtu lock 1300 src 10.1.0.1`,
  `route add 198.51.100.0/24 via inet6 fd02::9 dev d${OUT}`,
  `route add blackhole 203.0.113.0/28`,
  `route add unreachable 203.0.113.16/28`,
  `route add prohibit 203.0.113.32/28`,
  `route add 203.0.113.64/26 via 10.2.0.9 table 77`,
  `route add fd80::/16 via fd02::9 dev d${OUT}`,
  `route add blackhole fd81::/32`,
  `neigh add 10.2.0.9 lladdr 02:00:00:00:09:09 dev d${OUT} nud permanent`,
  `neigh add fd02::9 lladdr 02:00:00:00:09:0a dev d${OUT} nud permanent`,
];

interface Answer {
  readonly returned: number;
  readonly params: string;
}

async function answersHere(engine: 'jit' | 'interpreter'): Promise<Answer[]> {
  const loaded = await load(fib, { engine, network });
  const answers = questions.map((question) => {
    const { returnValue, data } = loaded.programs['p']!.run({ data: paramsOf(question) });
    return { returned: returnValue | 0, params: Buffer.from(data!).toString('hex') };
  });
  loaded.close();
  return answers;
}

function answersThere(): Answer[] {
  const name = `sluice-fib-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'sluice-fib-'));
  const ip = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  ip('netns', 'add', name);
  try {
    for (const line of setup) ip('-n', name, ...line.split(' '));
    const forward = ['net.ipv6.conf.all.forwarding=1', ...[IN, OUT].map((i) => `net.ipv4.conf.d${i}.forwarding=1`)];
    ip(
      'netns',
      'exec',
      name,
      'sysctl',
      '-qw',
      ...forward,
      `net.ipv4.conf.d${STILL}.forwarding=0`,
      'net.ipv4.conf.lo.forwarding=0',
    );
    writeFileSync(join(folder, 'fib.o'), fib);
    writeFileSync(
      join(folder, 'in.json'),
      JSON.stringify(questions.map((each) => Buffer.from(paramsOf(each)).toString('hex'))),
    );
    const script = `
      const { load } = await import(${JSON.stringify(fileURLToPath(new URL('../dist/index.js', import.meta.url)))});
      const { readFileSync } = await import('node:fs');
      const loaded = await load(readFileSync('fib.o'), { target: 'linux' });
      console.log(JSON.stringify(JSON.parse(readFileSync('in.json', 'utf8')).map((hex) => {
        const { returnValue, data } = loaded.programs.p.run({ data: Buffer.from(hex, 'hex') });
        return { returned: returnValue | 0, params: Buffer.from(data).toString('hex') };
      })));`;
    const { stdout, stderr } = spawnSync(
      'ip',
      ['netns', 'exec', name, process.execPath, '--input-type=module', '-e', script],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Answer[]; // what the script writes
  } finally {
    ip('netns', 'del', name);
    rmSync(folder, { recursive: true });
  }
}

const refusal = bpfRefusal() ?? (spawnSync('ip', ['netns']).status === 0 ? undefined : 'there is no ip netns');

describe('bpf_fib_lookup', () => {
  it.skipIf(refusal !== undefined)(
    `gives the kernel's answers${refusal === undefined ? '' : ` (${refusal})`}`,
    async () => {
      const there = answersThere();
      for (const engine of ['jit', 'interpreter'] as const) {
        const here = await answersHere(engine);
        for (const [i, question] of questions.entries())
          expect({ question, ...here[i] }).toEqual({ question, ...there[i] });
      }
      expect(new Set(there.map(({ returned }) => returned))).toEqual(new Set([0, 1, 2, 3, 4, 5, 7, 8, -19, -22, -97]));
    },
  );

  it('finds loopback alone without a network, and says what is no network', async () => {
    const loaded = await load(fib);
    const returned = (question: Question) => loaded.programs['p']!.run({ data: paramsOf(question) }).returnValue | 0;
    expect(returned({ dst: '10.0.0.1', index: 1 })).toBe(5);
    expect(returned({ dst: '10.0.0.1', index: 2 })).toBe(-19);
    loaded.close();
    const mac = '02:00:00:00:00:01';
    const wrong: readonly Network[] = [
      { interfaces: [{ index: 0, mac }] },
      {
        interfaces: [
          { index: 1, mac },
          { index: 1, mac },
        ],
      },
      { interfaces: [{ index: 1, mac }], routes: [{ to: '10.0.0.0/33', interface: 1 }] },
      { interfaces: [{ index: 1, mac }], routes: [{ to: '10.0.0.0/8', interface: 2 }] },
      { interfaces: [{ index: 1, mac }], routes: [{ to: 'fd00::/8', interface: 1, via: '10.0.0.1' }] },
      { interfaces: [{ index: 1, mac }], neighbours: [{ interface: 2, address: '10.0.0.1', mac }] },
    ];
    for (const each of wrong)
      await expect(load(fib, { network: each })).rejects.toMatchObject({ code: 'SLUICE_NETWORK' });
  });
});

describe('bpf_check_mtu', () => {
  it('asks the interfaces of the network', async () => {
    const mtu = object(program('  r2 = r4\n  r3 = r10\n  r3 += -64\n  r4 = 0\n  r5 = 0\n  call 163'));
    const loaded = await load(mtu, { network });
    const ask = (index: number, length: number) => {
      const data = new Uint8Array(72);
      new DataView(data.buffer).setUint32(0, length, true);
      new DataView(data.buffer).setUint32(64, index, true);
      const { returnValue, data: after } = loaded.programs['p']!.run({ data });
      return [returnValue | 0, new DataView(after!.buffer, after!.byteOffset).getUint32(0, true)];
    };
    expect(ask(OUT, 1400)).toEqual([0, 1400]);
    expect(ask(OUT, 1401)).toEqual([1, 1400]);
    expect(ask(IN, 1401)).toEqual([0, 1500]);
    expect(ask(999, 100)).toEqual([-19, 100]);
    loaded.close();
  });
});
