/** `sluice steer run` on a real TAP: every packet's queue and hash held against the reference, and against the kernel's choice by the same program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { ringRefusal } from '../src/linux/io-uring-features.ts';
import { NetworkNamespace } from '../src/linux/netns.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { tunRefusal } from '../src/linux/tun.ts';
import { readCapture } from '../src/net/capture.ts';
import { generateCapture } from '../src/net/generator.ts';
import {
  flowRuleOf,
  HASH_TYPES_ALL,
  hashType,
  parseFlowRule,
  type RssConfiguration,
  rss,
  verificationKey,
} from '../src/net/rss/index.ts';
import { writeObject } from '../src/object/write.ts';

const missing =
  tunRefusal() ??
  ringRefusal() ??
  bpfRefusal() ??
  (existsSync('dist/cli/main.js') ? undefined : 'not built: npm run build');

const TAP = 'tap0';
const frames = generateCapture({ seed: 8, count: 700 })
  .map(({ data }) => data)
  .filter(({ length }) => length <= 1514);

/** As far as the test looks. */
interface Result {
  readonly how: string;
  readonly packets: number;
  readonly xdp?: {
    readonly queues: readonly {
      readonly cpu: number;
      readonly passed: number;
      readonly dropped: number;
    }[];
  };
  readonly rules?: readonly { readonly rule: string; readonly packets: number }[];
  readonly queues: readonly { readonly packets: number; readonly noHash: number; readonly dropped: number }[];
}

describe.skipIf(missing !== undefined)(
  `sluice steer run${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string;
    let namespace: NetworkNamespace;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-steer-'));
      namespace = new NetworkNamespace(`sluice-sc${process.pid}`);
      namespace.disableIpv6();
    });
    afterAll(() => {
      namespace?.remove();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    /** Runs it over `frames`, and gives its document; what it says on stderr otherwise. */
    async function run(...args: string[]): Promise<Result> {
      const count = ['--count', String(frames.length), '--json'];
      const command = ['bin/sluice.js', 'steer', 'run', '--tap', TAP, ...count, ...args];
      const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, ...command]);
      let output = '';
      let errors = '';
      child.stdout!.on('data', (text) => {
        output += text;
      });
      const ready = new Promise<void>((resolve) => {
        child.stderr!.on('data', (text) => {
          errors += text;
          if (/ends it/.test(errors)) resolve();
        });
      });
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      await Promise.race([ready, ended]);
      if (/ends it/.test(errors)) {
        const socket = namespace.run(() => new PacketSocket(TAP));
        for (const frame of frames) socket.send(frame);
        socket.close();
      }
      const code = await ended;
      if (code !== 0) throw new Error(`exit ${code}: ${errors}`);
      return JSON.parse(output) as Result;
    }

    it('gives the queues and hashes of the reference, packet by packet', async () => {
      const configuration: RssConfiguration = {
        hashTypes: hashType.ipv4 | hashType.tcpv4 | hashType.udpv4 | hashType.tcpv6 | hashType.udpv6Ex,
        table: [0, 1, 2, 3, 4, 2, 1, 0],
        unclassifiedQueue: 3,
        key: verificationKey,
      };
      const file = join(folder, 'rss.json');
      const { table, unclassifiedQueue } = configuration;
      const hashTypes = ['ipv4', 'tcpv4', 'udpv4', 'tcpv6', 'udpv6Ex'];
      writeFileSync(file, JSON.stringify({ hashTypes, table, unclassifiedQueue }));
      const result = await run('--queues', '3', '--rss', file, '--sink', `pcapng:${join(folder, 'out')}`);
      expect(result).toMatchObject({ how: 'rss', packets: frames.length });

      const expected: { data: string; hash: string | undefined }[][] = [[], [], []];
      for (const frame of frames) {
        const { queue, hash, report } = rss(frame, configuration);
        const option = `05${hash.toString(16).padStart(8, '0')}`;
        expected[queue % 3]!.push({
          data: Buffer.from(frame).toString('hex'),
          hash: report === 0 ? undefined : option,
        });
      }
      for (let queue = 0; queue < 3; queue++) {
        const got = [...readCapture(readFileSync(join(folder, 'out', `queue-${queue}.pcapng`)))];
        const hashes = got.map(({ data, options }) => {
          const value = options?.find(({ code }) => code === 3)?.value;
          return {
            data: Buffer.from(data).toString('hex'),
            hash: value === undefined ? undefined : Buffer.from(value).toString('hex'),
          };
        });
        expect(hashes).toEqual(expected[queue]);
        expect(result.queues[queue]).toMatchObject({
          packets: expected[queue]!.length,
          noHash: expected[queue]!.filter(({ hash }) => hash === undefined).length,
          dropped: 0,
        });
      }
      expect(expected.every((each) => each.length > 50)).toBe(true);

      const there = await run('--queues', '3', '--rss', file, '--kernel');
      expect(there.queues.map(({ packets }) => packets)).toEqual(expected.map(({ length }) => length));
    }, 60_000);

    it('chooses the queues that the kernel chooses by the same program', async () => {
      const object = join(folder, 'length.bpf.o');
      const text = 'length:\nr0 = *(u32 *)(r1 + 0)\nr0 *= 7\nexit';
      writeFileSync(object, writeObject({ section: 'socket', license: 'GPL', ...assemble(text, { syntax: 'llvm' }) }));
      const program = ['--queues', '4', '--program', object];
      const here = await run(...program);
      const there = await run(...program, '--kernel');
      expect(here.how).toBe('socket_filter');
      expect(there.how).toBe('kernel');
      const packets = [0, 1, 2, 3].map((queue) => frames.filter(({ length }) => (length * 7) % 4 === queue).length);
      expect(here.queues.map((queue) => queue.packets)).toEqual(packets);
      expect(there.queues.map((queue) => queue.packets)).toEqual(packets);
    }, 60_000);

    it('runs a program of XDP over each queue on its CPU, before the consumers', async () => {
      const object = join(folder, 'even.bpf.o');
      // Drops packets of odd length, counts runs by CPU.
      const text = `
even:
r6 = *(u32 *)(r1 + 4)
r7 = *(u32 *)(r1 + 0)
r6 -= r7
r6 &= 1
r0 = 1
if r6 != 0 goto out
r0 = 2
out:
exit`;
      writeFileSync(object, writeObject({ section: 'xdp', license: 'GPL', ...assemble(text, { syntax: 'llvm' }) }));
      const file = join(folder, 'xdp-rss.json');
      writeFileSync(file, JSON.stringify({ table: [0, 1, 2, 1], unclassifiedQueue: 1 }));
      const out = join(folder, 'xdp-out');
      const sink = ['--sink', `pcapng:${out}`, '--when-full', 'wait'];
      const result = await run('--queues', '3', '--rss', file, '--xdp', object, '--cpus', '2', ...sink);
      const configuration = {
        hashTypes: HASH_TYPES_ALL,
        table: [0, 1, 2, 1],
        unclassifiedQueue: 1,
        key: verificationKey,
      };
      const hexOf = (data: Uint8Array) => Buffer.from(data).toString('hex');
      expect(result.xdp!.queues.map(({ cpu }) => cpu)).toEqual([1, 2, 1]);
      for (let queue = 0; queue < 3; queue++) {
        const mine = frames.filter((frame) => rss(frame, configuration).queue % 3 === queue);
        const passed = mine.filter(({ length }) => length % 2 === 0);
        const got = [...readCapture(readFileSync(join(out, `queue-${queue}.pcapng`)))];
        expect(got.map(({ data }) => hexOf(data))).toEqual(passed.map(hexOf));
        expect(result.queues[queue]).toMatchObject({ packets: mine.length, dropped: 0 });
        const dropped = mine.length - passed.length;
        expect(result.xdp!.queues[queue]).toMatchObject({ passed: passed.length, dropped, returned: 0, lost: 0 });
      }
      await expect(run('--queues', '3', '--rss', file, '--cpus', '2')).rejects.toThrow('--xdp');
    }, 60_000);

    it('reports what a program of type vnet_hash sets, and has the device compute where a program returns -1', async () => {
      const configuration: RssConfiguration = {
        hashTypes: HASH_TYPES_ALL,
        table: [2, 0, 1, 3],
        unclassifiedQueue: 1,
        key: verificationKey,
      };
      const file = join(folder, 'all.json');
      writeFileSync(file, JSON.stringify({ table: configuration.table, unclassifiedQueue: 1 }));
      /** Packets of each queue with their hash, in order. */
      const written = (out: string) =>
        [0, 1, 2, 3].map((queue) =>
          [...readCapture(readFileSync(join(folder, out, `queue-${queue}.pcapng`)))].map(({ data, options }) => {
            const value = options?.find(({ code }) => code === 3)?.value;
            return `${Buffer.from(data).toString('hex')} ${value === undefined ? '-' : Buffer.from(value).toString('hex')}`;
          }),
        );
      const wanted = (queueOf: (frame: Uint8Array) => { queue: number; hash: number; report: number }) => {
        const queues: string[][] = [[], [], [], []];
        for (const frame of frames) {
          const { queue, hash, report } = queueOf(frame);
          const option = report === 0 ? '-' : `05${hash.toString(16).padStart(8, '0')}`;
          queues[queue % 4]!.push(`${Buffer.from(frame).toString('hex')} ${option}`);
        }
        return queues;
      };
      const sink = (out: string) => ['--queues', '4', '--sink', `pcapng:${join(folder, out)}`];

      const own = await run(...sink('own'), '--rss', file, '--program', 'bpf/objects/steering/device_vnet_hash.bpf.o');
      expect(own.how).toBe('vnet_hash');
      expect(written('own')).toEqual(wanted((frame) => rss(frame, configuration)));

      // Even lengths are the device's to steer, odd ones go to the queue that the program says.
      const object = join(folder, 'fallback.bpf.o');
      const text =
        'even:\nr1 = *(u32 *)(r1 + 0)\nr0 = -1\nr2 = r1\nr2 &= 1\nif r2 == 0 goto end\nr0 = r1\nr0 >>= 1\nend:\nexit';
      writeFileSync(object, writeObject({ section: 'socket', license: 'GPL', ...assemble(text, { syntax: 'llvm' }) }));
      const program = ['--rss', file, '--program', object];
      const none = { hash: 0, report: 0 };
      const fallback = await run(...sink('fallback'), ...program, '--fallback');
      expect(fallback.how).toBe('socket_filter');
      expect(written('fallback')).toEqual(
        wanted((frame) => (frame.length % 2 === 0 ? rss(frame, configuration) : { ...none, queue: frame.length >> 1 })),
      );
      await run(...sink('linux'), ...program);
      expect(written('linux')).toEqual(
        wanted((frame) => ({ ...none, queue: frame.length % 2 === 0 ? 65535 : frame.length >> 1 })),
      );
    }, 60_000);

    it('steers by the context of a rule, and says how many', async () => {
      const files = ['rss', 'own'].map((name) => join(folder, `${name}-rule.json`));
      writeFileSync(files[0]!, JSON.stringify({ table: [0, 1] }));
      writeFileSync(files[1]!, JSON.stringify({ table: [2], unclassifiedQueue: 2 }));
      const rules = ['flow-type udp4 context 1', 'flow-type ip6 context 1'];
      const options = ['--queues', '3', '--rss', files[0]!, '--context', `1=${files[1]!}`];
      const result = await run(...options, ...rules.flatMap((rule) => ['--rule', rule]));
      const chosen = frames.map((frame) => flowRuleOf(frame, rules.map(parseFlowRule)));
      expect(result.queues[2]!.packets).toBe(chosen.filter((index) => index >= 0).length);
      expect(result.rules).toEqual(
        rules.map((rule, at) => ({ rule, packets: chosen.filter((index) => index === at).length })),
      );
      expect(result.rules!.every(({ packets }) => packets > 5)).toBe(true);
      await expect(run(...options, '--kernel', '--rule', rules[0]!)).rejects.toThrow(/exit 2: .*--kernel/);
    }, 60_000);

    it('says what is wrong', async () => {
      const file = join(folder, 'bad.json');
      writeFileSync(file, '{"hashTypes":["tcp"]}');
      await Promise.all([
        expect(run('--queues', '2')).rejects.toThrow(/exit 2: .*--program OBJ/),
        expect(run('--queues', '2', '--kernel', '--rss', 'x')).rejects.toThrow(/exit 3: .*x: cannot be read/),
        expect(run('--queues', '2', '--kernel', '--sink', 'pcap')).rejects.toThrow(/exit 2: .*--sink pcap/),
        expect(
          run('--queues', '2', '--kernel', '--program', 'bpf/objects/steering/device_socket.bpf.o'),
        ).rejects.toThrow(/exit 4: .*calls bpf_vnet_rss, .*which this kernel does not have/),
        expect(run('--queues', '2', '--rss', file)).rejects.toThrow(/exit 3: .*no "tcp"; there are ipv4, tcpv4/),
      ]);
    }, 60_000);
  },
);
