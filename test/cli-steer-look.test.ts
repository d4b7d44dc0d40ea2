// `sluice steer compare`, `explain`, `histogram` and `key`, as a user runs them; what they say is held against the reference.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explainSteering } from '../src/hooks/steering/explanation.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import {
  flowRuleOf,
  formatFlowRule,
  parseFlowRule,
  type RssConfiguration,
  rss,
  verificationKey,
} from '../src/net/rss/index.ts';

const missing = existsSync('dist/cli/main.js') ? undefined : 'not built: npm run build';
const folder = mkdtempSync(join(tmpdir(), 'sluice-steer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function steer(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('node', ['bin/sluice.js', 'steer', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

it('explains hash and queue of every packet as the reference computes them', () => {
  const configuration: RssConfiguration = {
    hashTypes: 0x1ff,
    tunnelTypes: 0x1ff,
    table: [4, 9, 2, 7],
    unclassifiedQueue: 11,
    key: verificationKey,
  };
  for (const { data } of generateCapture({ seed: 6, count: 600, traffic: 'steering' })) {
    const { hash, report, queue } = rss(data, configuration);
    const explained = explainSteering(data, configuration, 3);
    expect(explained).toMatchObject({ hash, report, entry: queue, queue: queue % 3 });
    expect(explained.steps.reduce((sum, { adds }) => (sum ^ adds) >>> 0, 0)).toBe(hash);
    for (const { inPacket, bytes } of explained.steps) expect(data.subarray(inPacket, inPacket + 2)).toEqual(bytes);
  }
});

describe.skipIf(missing !== undefined)(
  `on the command line${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('rules choose contexts', () => {
      const own = join(folder, 'own.json');
      writeFileSync(own, JSON.stringify({ table: [6] }));
      const rules = ['--context', `1=${own}`, '--rule', 'tcp4 context 1', '--rule', 'flow-type udp6 context 1'];
      const histogram = steer('histogram', '--count', '300', '--seed', '3', '--queues', '8', '--json', ...rules);
      expect(histogram.status, histogram.stderr).toBe(0);
      const parsed = ['tcp4 context 1', 'udp6 context 1'].map(parseFlowRule);
      const counts = Array(8).fill(0);
      const plain = {
        hashTypes: 0x1ff,
        table: Array.from({ length: 128 }, (_, i) => i % 8),
        unclassifiedQueue: 0,
        key: verificationKey,
      };
      for (const { data } of generateCapture({ seed: 3, count: 300, traffic: 'steering' }))
        counts[rss(data, flowRuleOf(data, parsed) < 0 ? plain : { ...plain, table: [6] }).queue]++;
      const { queues } = JSON.parse(histogram.stdout);
      expect(queues.map(({ packets }: { packets: number }) => packets)).toEqual(counts);
      const explained = steer('explain', '--seed', '3', '--count', '40', '--packet', '1', '--json', ...rules);
      const [first] = [...generateCapture({ seed: 3, count: 1, traffic: 'steering' })];
      const index = flowRuleOf(first!.data, parsed);
      expect(JSON.parse(explained.stdout).rule).toBe(index < 0 ? null : formatFlowRule(parsed[index]!));
      for (const [args, message] of [
        [['--rule', 'tcp4 context 2'], 'give --context 2=CONFIG.json'],
        [['--rule', 'tcp9 context 2'], "rule 'tcp9 context 2': no field tcp9"],
        [['--context', own], '--context'],
      ] as const) {
        const refused = steer('histogram', ...args);
        expect(refused.status).toBe(2);
        expect(refused.stderr).toContain(message);
      }
    });

    it('all ways agree', () => {
      const { status, stdout } = steer('compare', '--count', '400', '--queues', '3', '--json');
      expect(status).toBe(0);
      const { schema, ways, agree, reports } = JSON.parse(stdout);
      expect({ schema, agree }).toEqual({ schema: 'sluice.steer-compare/1', agree: true });
      expect(ways).toHaveLength(bpfRefusal() === undefined ? 7 : 6);
      for (const way of ways) expect(way).toMatchObject({ agrees: true, firstDifference: null });
      expect(ways.filter(({ reports }: { reports: boolean }) => reports)).toHaveLength(5);
      expect(Object.keys(reports).length).toBeGreaterThan(8);
      const tunnels = join(folder, 'tunnels.json');
      writeFileSync(tunnels, JSON.stringify({ tunnelTypes: 'all' }));
      const inner = steer('compare', '--count', '200', '--rss', tunnels);
      expect(inner.status).toBe(0);
      expect(inner.stderr).toContain('rss_report is left out: it knows no tunnels');
    });

    it('all ways agree where rules choose between several contexts', () => {
      const files = [
        { table: [0, 1], hashTypes: ['ipv4', 'tcpv4'] },
        { table: [2, 3, 2, 4], unclassifiedQueue: 4, key: '6d5a'.repeat(20) },
        { table: [5], hashTypes: ['tcpv6', 'ipv6Ex'], unclassifiedQueue: 6 },
      ].map((configuration, index) => {
        const file = join(folder, `context-${index}.json`);
        writeFileSync(file, JSON.stringify(configuration));
        return file;
      });
      const rules = [
        'flow-type udp4 context 1',
        'flow-type ip6 context 2',
        'flow-type tcp4 src-port 0 m 0xfff context 1',
      ];
      const { status, stdout, stderr } = steer(
        ...['compare', '--count', '300', '--seed', '12', '--queues', '7', '--json', '--rss', files[0]!],
        ...['--context', `1=${files[1]}`, '--context', `2=${files[2]}`],
        ...rules.flatMap((rule) => ['--rule', rule]),
      );
      expect(status, stderr).toBe(0);
      const { ways, agree, rules: counts } = JSON.parse(stdout);
      expect(agree).toBe(true);
      expect(ways).toHaveLength(bpfRefusal() === undefined ? 7 : 6);
      for (const way of ways) expect(way).toMatchObject({ agrees: true, firstDifference: null });
      const parsed = rules.map(parseFlowRule);
      const chosen = [...generateCapture({ seed: 12, count: 300, traffic: 'steering' })].map(({ data }) =>
        flowRuleOf(data, parsed),
      );
      expect(counts).toEqual(
        parsed.map((rule, at) => ({
          rule: formatFlowRule(rule),
          packets: chosen.filter((each) => each === at).length,
        })),
      );
      expect(counts[0].packets).toBeGreaterThan(10);
      expect(steer('compare', '--rule', rules[0]!).stderr).toContain('give --context 1=CONFIG.json');
      const empty = join(folder, 'empty.pcap');
      writeFileSync(empty, Buffer.from(`d4c3b2a102000400${'00'.repeat(8)}ffff000001000000`, 'hex'));
      expect(steer('compare', '--pcap', empty)).toMatchObject({
        status: 3,
        stderr: expect.stringContaining('has no packets'),
      });
    });

    it('a packet of the Microsoft suite is explained', () => {
      const packet = join(folder, 'packet');
      const hex = `${'0'.repeat(24)}080045000028000000004006000042${'0995bb'}a18e6450${'0aea06e6'}${'0'.repeat(32)}`;
      writeFileSync(packet, Buffer.from(hex, 'hex'));
      const { status, stdout } = steer('explain', packet, '--json');
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        source: '66.9.149.187',
        destination: '161.142.100.80',
        ports: [2794, 1766],
        hash: 0x51ccc178,
        report: 'tcpv4',
        index: 0x78,
      });
      expect(steer('explain', '--packet', '99999').status).toBe(3);
      const capture = join(folder, 'capture');
      writeFileSync(capture, Buffer.from('d4c3b2a102000400', 'hex'));
      expect(steer('explain', capture).stderr).toContain('is a capture: give it as --pcap FILE');
    });

    it('a packet of a flow that was sent is explained by that', () => {
      const config = join(folder, 'automatic.json');
      writeFileSync(config, JSON.stringify({ automatic: true, hashTypes: ['tcpv4'] }));
      const flow = (source: string, destination: string, ports: string) =>
        Buffer.from(
          `${'0'.repeat(24)}080045000028000000004006000${source}${destination}${ports}${'0'.repeat(32)}`,
          'hex',
        );
      const packet = join(folder, 'answer');
      writeFileSync(packet, flow('0420995bb', 'a18e6450', '0aea06e6'));
      const sent = flow('0a18e6450', '420995bb', '06e60aea');
      const capture = join(folder, 'sent.pcap');
      const record = Buffer.alloc(16);
      record.writeUInt32LE(sent.length, 8);
      record.writeUInt32LE(sent.length, 12);
      const head = Buffer.from(`d4c3b2a102000400${'00'.repeat(8)}ffff000001000000`, 'hex');
      writeFileSync(capture, Buffer.concat([head, record, sent]));
      const args = ['explain', packet, '--rss', config, '--queues', '4'];
      const known = steer(...args, '--sent', `3=${capture}`);
      expect(known.status, known.stderr).toBe(0);
      expect(known.stdout).toContain('hash      0x51ccc178');
      expect(known.stdout).toContain(`flow      known: packet 1 of ${capture} was sent on queue 3`);
      expect(known.stdout).toContain('queue     3, that of the flow');
      const unknown = JSON.parse(steer(...args, '--json').stdout);
      expect(unknown).toMatchObject({ decided: 'table', index: 0x78, queue: 0, sent: null, hash: 0x51ccc178 });
      expect(steer(...args, '--sent', `4=${capture}`).stderr).toContain('there are 4 queues');
      expect(steer('explain', packet, '--sent', `3=${capture}`).status).toBe(2);
      writeFileSync(config, JSON.stringify({ automatic: true, table: [0] }));
      expect(steer(...args).stderr).toContain('without table and unclassifiedQueue');
    });

    it('packets are counted by queue, and what is uneven has a cause', () => {
      const { queues, packets, imbalance, causes, key } = JSON.parse(
        steer('histogram', '--queues', '4', '--json').stdout,
      );
      expect(queues.map((each: { packets: number }) => each.packets).reduce((a: number, b: number) => a + b)).toBe(
        packets,
      );
      expect(imbalance).toBeGreaterThan(1);
      for (const { queue } of causes) expect(queues[queue].packets).toBeGreaterThan(packets / 4);
      expect(key).toMatchObject({ symmetric: false, ports: 7 });
    });

    it('keys are made, looked at, and turned into ports', () => {
      const made = JSON.parse(steer('key', '--symmetric', '--json').stdout);
      expect(made).toMatchObject({ symmetric: true, sourcePort: 7, destinationPort: 7 });
      const file = join(folder, 'key.json');
      writeFileSync(file, JSON.stringify({ key: Buffer.from(verificationKey).toString('hex') }));
      const flow = ['--flow', '66.9.149.187:2794>161.142.100.80:1766', '--queues', '4'];
      const { ports } = JSON.parse(steer('key', '--rss', file, ...flow, '--queue', '0', '--json').stdout);
      expect(ports).toContain(2794); // its hash ends in 0x78
      expect(steer('key', '--flow', 'nonsense').status).toBe(3);
      expect(steer('key', ...flow, '--queue', '4').stderr).toContain('there are 4 queues');
    });
  },
);
