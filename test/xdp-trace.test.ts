// `sluice xdp trace`: one line for each packet's way, by its number, over captures and on a veth pair.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { conditionOption, flowOption, isOfFlow, meets } from '../src/cli/trace-filter.ts';
import type { PathPacket } from '../src/hooks/path/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { LINKTYPE_ETHERNET, writePcapng } from '../src/net/capture.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { TraitRegistry } from '../src/traits/registry.ts';

const built = existsSync('dist/cli/main.js') ? undefined : 'not built: npm run build';
const missing = built ?? bpfRefusal() ?? vethRefusal();

/** The firewall drops the first, sends the second back, passes the others. */
const frames = Array.from({ length: 6 }, (_, i) =>
  packet(
    ethernet(),
    ipv4({ src: i === 0 ? '198.51.100.7' : '192.0.2.1', dst: `10.0.0.${i}` }),
    udp({ srcPort: 1000 + i, dstPort: i === 1 ? 7 : 4000 }),
    new Uint8Array(30),
  ),
);
const objects = 'bpf/objects';

describe.skipIf(built !== undefined)(`sluice xdp trace${built === undefined ? '' : ` (skipped: ${built})`}`, () => {
  let folder: string;
  let capture: string;
  let rules: string;
  let targets: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-trace-'));
    capture = join(folder, 'in.pcapng');
    rules = join(folder, 'maps.json');
    const packets = frames.map((data, i) => ({
      data,
      timestampNs: 10n ** 18n + BigInt(i),
      wireLength: data.length,
      interfaceId: 0,
      linkType: LINKTYPE_ETHERNET,
    }));
    writeFileSync(capture, writePcapng(packets));
    writeFileSync(
      rules,
      JSON.stringify({
        blocklist_v4: [
          [
            { prefix_length: 24, address: 'hex:c6336400' },
            { rule: 16, action: 1 },
          ],
        ],
      }),
    );
    targets = join(folder, 'targets.json');
    writeFileSync(targets, '{"group": [[0, 2], [1, 3]], "devices": [[0, 2]]}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const trace = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/sluice.js', 'xdp', 'trace', ...args]);
    return {
      status,
      lines: stdout.toString().trimEnd().split('\n'),
      stderr: stderr.toString(),
      stdout: stdout.toString(),
    };
  };
  const firewall = () => [`${objects}/xdp_firewall.bpf.o`, '--maps', rules, '--pcap', capture];

  it('has a line for every packet, and says how all ended', () => {
    const { lines, status } = trace(...firewall(), `${objects}/tc_nat.bpf.o:tc_nat_ingress`, '--name', '1=eth0');
    expect(status).toBe(0);
    expect(lines).toEqual([
      '#1 eth0 xdp xdp_firewall DROP -> dropped by xdp_firewall',
      '#2 eth0 xdp xdp_firewall TX -> sent by eth0 72 bytes',
      ...[3, 4, 5, 6].map((id) => `#${id} eth0 xdp xdp_firewall PASS -> tc tc_nat_ingress OK -> reader 72 bytes`),
      '',
      'END      BY            PACKETS',
      'passed                       4',
      'dropped  xdp_firewall        1',
      'sent                         1',
      '6 packets, 6 shown',
    ]);
  });

  it('shows what the filters let through', () => {
    const shown = (...filters: string[]) => {
      const { lines, stderr } = trace(...firewall(), ...filters);
      expect(stderr).toBe('');
      return lines.filter((line) => line.startsWith('#')).map((line) => line.split(' ')[0]);
    };
    expect(shown('--drops')).toEqual(['#1']);
    expect(shown('--where', 'packet_id>=2', '--where', 'packet_id!=5', '--flow', 'proto=udp,dport=4000')).toEqual([
      '#3',
      '#4',
      '#6',
    ]);
    expect(trace(...firewall(), '--where', 'nobody=1')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no such trait'),
    });
    expect(trace(`${objects}/xdp_firewall.bpf.o`, '--maps', targets, '--pcap', capture)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('no map group'),
    });
    expect(trace(...firewall(), '--duration', '1')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--duration has no meaning with --pcap'),
    });
  });

  it('compares flows and values', () => {
    const [first] = frames;
    expect(isOfFlow(first!, flowOption('src=198.51.100.7,sport=1000'))).toBe(true);
    expect(isOfFlow(first!, flowOption('dst=10.0.0.0,proto=17'))).toBe(true);
    expect(isOfFlow(first!, flowOption('dst=10.0.0.0,proto=tcp'))).toBe(false);
    expect(() => flowOption('port=1')).toThrow('names: src');
    const traits = new TraitRegistry();
    const key = traits.register({ name: 'flow_id', size: 4 });
    const packet: PathPacket = {
      ...{ index: 0, steps: [], end: 'passed', interface: 1, data: first!, metadata: new Uint8Array(), copies: [] },
      packetId: 17n,
      traits: new Map([[key, Uint8Array.of(1, 2, 0, 0)]]),
    };
    const holds = (text: string) => conditionOption(text).every((condition) => meets(packet, condition, traits));
    expect(
      ['packet_id=17', 'packet_id<18', 'packet_id>=17', 'flow_id=0x201', `${key}!=1`, 'mark!=0'].map(holds),
    ).toEqual(Array(6).fill(true));
    expect(['packet_id=16', 'packet_id>17', 'flow_id<513', 'mark=0', '63=0'].map(holds)).toEqual(Array(5).fill(false));
    expect(() => conditionOption('packet_id')).toThrow('packet_id, mark');
  });

  it.each(['jit', 'interpreter'])('follows redirects, copies and other interfaces, as JSON (%s)', (engine) => {
    const network = join(folder, 'network.json');
    const mac = (n: number) => `02:00:00:00:00:0${n}`;
    writeFileSync(
      network,
      JSON.stringify({
        interfaces: [
          { index: 1, mac: mac(1) },
          { index: 2, mac: mac(2), peer: 4 },
          { index: 3, mac: mac(3) },
          { index: 4, mac: mac(4), peer: 2 },
        ],
      }),
    );
    const { stdout } = trace(
      ...[`${objects}/metadata/redirects.bpf.o`, `${objects}/metadata/packet_id.bpf.o:mark_id`],
      ...[
        '--at',
        `4=${objects}/metadata/packet_id.bpf.o:give_id`,
        '--at',
        `4=${objects}/metadata/packet_id.bpf.o:mark_id`,
      ],
      ...['--pcap', capture, '--maps', targets, '--network', network, '--engine', engine, '--json'],
    );
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ schema: 'sluice.xdp-trace/1', packets: 6 });
    const ways = document.ways as { id: string; way: string; mark?: number; copies: { way: string }[] }[];
    expect(ways.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(ways[0]!.way).toBe('xdp redirects PASS -> tc mark_id OK -> reader 72 bytes');
    // The devmap's interface is one end of a pair: the other end's programs see it, and its number is still the first one's.
    expect(ways[2]!.way).toBe(
      'xdp redirects REDIRECT -> devmap[0] -> out if2 -> in if4 -> xdp give_id PASS -> tc mark_id OK -> reader 72 bytes',
    );
    expect(ways[2]!.mark).toBe(1);
    expect(ways[4]!.way).toBe('xdp redirects DROP -> dropped by redirects');
    const broadcast = [ways[3]!, ...ways[3]!.copies].map(({ way }) => way);
    expect(broadcast.filter((way) => way.includes('in if4 -> xdp give_id PASS'))).toHaveLength(1);
    expect(broadcast.filter((way) => way.endsWith('sent by if3 72 bytes'))).toHaveLength(1);
  });

  it('leaves numbers to the programs, and shows traits', () => {
    const { lines } = trace(
      ...[
        `${objects}/metadata/packet_id.bpf.o:give_id`,
        '--pcap',
        capture,
        '--no-stamp',
        '--show-traits',
        '--count',
        '2',
      ],
    );
    expect(lines.slice(0, 2)).toEqual([
      '#(0) if1 xdp give_id PASS -> reader 72 bytes 1=1',
      '#(1) if1 xdp give_id PASS -> reader 72 bytes 1=2',
    ]);
  });

  it.skipIf(missing !== undefined)(
    `traces packets of an interface${missing === undefined ? '' : ` (skipped: ${missing})`}`,
    async () => {
      const pair = new VethPair(`r${process.pid}`);
      const far = pair.inNamespace(() => new PacketSocket(pair.there));
      try {
        const args = [
          'bin/sluice.js',
          'xdp',
          'trace',
          `${objects}/xdp_firewall.bpf.o`,
          '--maps',
          rules,
          '--if',
          pair.here,
        ];
        const child = spawn(process.execPath, [
          ...args,
          ...['--count', '6', '--show-traits', '--ingress', `${objects}/metadata/flow_traits.bpf.o:stamp`],
        ]);
        let stdout = '';
        let stderr = '';
        child.stdout.on('data', (chunk) => (stdout += chunk));
        const ended = new Promise((resolve) => child.on('close', resolve));
        await new Promise<void>((resolve, reject) => {
          child.on('close', () => reject(new Error(stderr)));
          child.stderr.on('data', (chunk) => {
            stderr += chunk;
            if (stderr.includes('ends it')) resolve();
          });
        });
        for (const frame of frames) far.send(frame);
        expect(await ended).toBe(0);
        const [first, second, third] = stdout.split('\n');
        expect(first).toMatch(
          new RegExp(`^#1 ${pair.here} xdp xdp_firewall DROP -> dropped by xdp_firewall 1=1 5=\\d+$`),
        );
        expect(second).toMatch(
          new RegExp(`^#2 ${pair.here} xdp xdp_firewall TX -> sent by ${pair.here} 72 bytes 1=2 `),
        );
        expect(third).toMatch(/^#3 .* PASS -> reader 72 bytes 1=3 5=\d+$/);
        // What the firewall sends back is there again at the far end, addresses and ports turned.
        expect(await far.wait(2000)).toBe(true);
        const back = far.receive()!;
        expect([...back.subarray(26, 34)]).toEqual([10, 0, 0, 1, 192, 0, 2, 1]);
      } finally {
        far.close();
        pair.remove();
      }
    },
    60_000,
  );
});
