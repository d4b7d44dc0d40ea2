/** `sluice xdp attach` on a veth pair: the same traffic in every mode, signals, replacement, what a crash leaves. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachXdp, type KernelLink } from '../src/linux/links.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { loadRaw } from '../src/linux/programs.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { readCapture } from '../src/net/capture.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { capturedTraits } from '../src/net/pcapng-traits.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';

const missing =
  bpfRefusal() ?? vethRefusal() ?? (existsSync('dist/cli/main.js') ? undefined : 'not built: npm run build');

const frames = Array.from({ length: 90 }, (_, i) => {
  const src = i % 3 === 0 ? '198.51.100.7' : '192.0.2.1';
  const dstPort = i % 3 === 1 ? 7 : 4000;
  return packet(ethernet(), ipv4({ src, dst: '10.0.0.1' }), udp({ srcPort: 1000 + i, dstPort }), new Uint8Array(i * 9));
});
/** Nothing here has a time of its own: what is waited for either comes, or the test's time is over. */
const TIMEOUT = 120_000;
const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
const digest = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
const firewall = 'bpf/objects/xdp_firewall.bpf.o:xdp_firewall';

describe.skipIf(missing !== undefined)(
  `sluice xdp attach${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string;
    let maps: string;
    let pair: VethPair;
    let far: PacketSocket;
    let farLink: KernelLink;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-xdp-'));
      maps = join(folder, 'maps.json');
      writeFileSync(maps, '{"blocklist_v4":[[{"prefix_length":24,"address":"hex:c6336400"},{"rule":16,"action":1}]]}');
      pair = new VethPair(`c${process.pid}`);
      far = pair.inNamespace(() => new PacketSocket(pair.there));
      // A veth takes what the other end's driver sends back (XDP_TX in native mode) only if it has a program itself.
      const pass = loadRaw(assemble('r0 = 2\nexit', { syntax: 'llvm' }).insns, 'xdp');
      farLink = pair.inNamespace(() => attachXdp(pass, pair.there, 'native'));
      pass.close();
    });
    afterAll(() => {
      farLink?.close();
      far?.close();
      pair?.remove();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    interface Attached {
      readonly child: ChildProcess;
      /** Until stderr has `text` once more. */
      says(text: string): Promise<void>;
      /** Until the end: exit code, signal, the JSON document. */
      readonly ended: Promise<{ code: number | null; signal: string | null; document: Document }>;
    }
    interface Document {
      readonly packets: number;
      readonly bytes: number;
      readonly verdicts: Record<string, number>;
      readonly details: Record<string, number>;
      readonly samples: readonly unknown[];
      readonly replaced: number;
      readonly maps: Record<string, Record<string, string>>;
    }

    /** With these `says(' N packets')` tells when N packets were counted. */
    const counting = ['--stats-interval', '0.05'];

    async function attach(object: string, ...options: string[]): Promise<Attached> {
      const args = ['bin/sluice.js', 'xdp', 'attach', object, '--if', pair.here, '--json', ...options];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let stdout = '';
      let stderr = '';
      let seen = 0;
      child.stdout!.on('data', (chunk) => (stdout += chunk));
      child.stderr!.on('data', (chunk) => (stderr += chunk));
      const ended = new Promise<{ code: number | null; signal: string | null; document: Document }>((resolve) => {
        child.on('close', (code, signal) =>
          resolve({ code, signal, document: stdout === '' ? undefined : JSON.parse(stdout) }),
        );
      });
      const says = async (text: string) => {
        while (!stderr.includes(text, seen)) {
          if (child.exitCode !== null || child.signalCode !== null)
            throw new Error(`no "${text}" in: ${stderr}${stdout}`);
          await pause();
        }
        seen = stderr.indexOf(text, seen) + text.length;
      };
      await says('SIGINT or SIGTERM ends it');
      return { child, says, ended };
    }

    /** As many frames as are to come, however long that takes, and what is there beyond them. */
    async function received(socket: PacketSocket, count: number): Promise<string[]> {
      const got: string[] = [];
      for (;;) {
        for (let one = socket.receive(); one !== undefined; one = socket.receive()) got.push(digest(one));
        if (got.length >= count) return got;
        await socket.wait(100);
      }
    }

    /** XDP program ids that the interface shows. */
    const attached = () => /prog\/xdp id/.test(spawnSync('ip', ['-d', 'link', 'show', pair.here]).stdout.toString());

    it(
      'counts and rewrites alike in every mode',
      async () => {
        const results = [];
        for (const mode of ['generic', 'native', 'afxdp']) {
          const run = await attach(firewall, '--mode', mode, '--maps', maps, '--count', '90');
          for (const frame of frames) far.send(frame);
          const { code, document } = await run.ended;
          const echoed = await received(far, 30);
          expect(code).toBe(0);
          expect(attached()).toBe(false);
          results.push({
            echoed,
            packets: document.packets,
            bytes: document.bytes,
            verdicts: document.verdicts,
            bss: document.maps['.bss'],
          });
        }
        expect(results[0]).toMatchObject({
          packets: 90,
          bytes: frames.reduce((sum, { length }) => sum + length, 0),
          verdicts: { XDP_PASS: 30, XDP_DROP: 30, XDP_TX: 30 },
        });
        expect(results[0]!.echoed).toHaveLength(30);
        expect(results[1]).toEqual(results[0]);
        expect(results[2]).toEqual(results[0]);
      },
      TIMEOUT,
    );

    it(
      'ends in order at SIGINT and SIGTERM, and writes what was not dropped',
      async () => {
        const out = join(folder, 'out.pcapng');
        for (const [signal, options] of [
          ['SIGINT', ['--mode', 'afxdp', '--out', out]],
          ['SIGTERM', ['--mode', 'native']],
        ] as const) {
          const run = await attach(firewall, '--maps', maps, ...options, ...counting);
          expect(attached()).toBe(true);
          for (const frame of frames) far.send(frame);
          await run.says(' 90 packets');
          await run.says(' 90 packets');
          run.child.kill(signal);
          const { code, document } = await run.ended;
          expect({ code, packets: document.packets }).toEqual({ code: 0, packets: 90 });
          expect(attached()).toBe(false);
          expect(document.samples.length).toBeGreaterThan(1);
          expect(await received(far, 30)).toHaveLength(30);
        }
        const written = [...readCapture(readFileSync(out))];
        expect(written).toHaveLength(60);
        const passed = frames.filter((_, i) => i % 3 === 2).map(digest);
        expect(written.map(({ data }) => digest(data)).filter((each) => passed.includes(each))).toEqual(passed);
      },
      TIMEOUT,
    );

    it(
      'a process that is killed leaves nothing on the interface',
      async () => {
        for (const mode of ['generic', 'afxdp']) {
          const run = await attach(firewall, '--mode', mode);
          expect(attached()).toBe(true);
          run.child.kill('SIGKILL');
          expect(await run.ended).toMatchObject({ signal: 'SIGKILL' });
          while (attached()) await pause();
        }
      },
      TIMEOUT,
    );

    /** At once: a file that is written in place changes twice. */
    const replaceFile = (path: string, content: Uint8Array | string) => {
      writeFileSync(`${path}.new`, content);
      renameSync(`${path}.new`, path);
      return path;
    };
    const verdictProgram = (verdict: number) => {
      const path = join(folder, 'verdict.o');
      const { insns, functions } = assemble(`r0 = ${verdict}\nexit`, { syntax: 'llvm' });
      return replaceFile(path, writeObject({ section: 'xdp', license: 'MIT', insns, functions }));
    };

    it.each(['generic', 'afxdp'])(
      'replaces the program while packets come (%s)',
      async (mode) => {
        const drop = verdictProgram(1);
        const run = await attach(drop, '--mode', mode, '--replace', ...counting);
        for (const frame of frames.slice(0, 10)) far.send(frame);
        await run.says(' 10 packets');
        verdictProgram(3);
        await run.says('replaced by');
        for (const frame of frames.slice(0, 20)) far.send(frame);
        expect(await received(far, 20)).toEqual(frames.slice(0, 20).map(digest));
        run.child.kill('SIGHUP');
        await run.says('replaced by');
        replaceFile(drop, 'not an object');
        await run.says('not replaced: ');
        for (const frame of frames.slice(0, 5)) far.send(frame);
        expect(await received(far, 5)).toEqual(frames.slice(0, 5).map(digest));
        run.child.kill('SIGINT');
        expect(await run.ended).toMatchObject({
          code: 0,
          document: { packets: 35, verdicts: { XDP_DROP: 10, XDP_TX: 25 }, replaced: 2 },
        });
      },
      TIMEOUT,
    );

    it(
      'passes frames on to an interface',
      async () => {
        const out = new VethPair(`o${process.pid}`);
        const host = out.inNamespace(() => new PacketSocket(out.there));
        try {
          const run = await attach(firewall, '--mode', 'afxdp', '--maps', maps, '--pass-to', out.here);
          for (const frame of frames) far.send(frame);
          expect(await received(far, 30)).toHaveLength(30);
          expect(await received(host, 30)).toEqual(frames.filter((_, i) => i % 3 === 2).map(digest));
          run.child.kill('SIGTERM');
          expect((await run.ended).document.details).toMatchObject({ sent: 30, passedOn: 30, txFull: 0 });
        } finally {
          host.close();
          out.remove();
        }
      },
      TIMEOUT,
    );

    it(
      'has a program in the kernel in front, whose traits come with the packets, and asks for checksums',
      async () => {
        const out = join(folder, 'traits.pcapng');
        const run = await attach(
          'bpf/objects/metadata/flow_traits.bpf.o:reply',
          ...['--mode', 'afxdp', '--ingress', 'bpf/objects/metadata/flow_traits.bpf.o:stamp', '--count', '90'],
          ...['--frame-metadata', 'traits', '--metadata', '0-4-8:meta', '--checksums', 'software', '--out', out],
        );
        for (const frame of frames) far.send(frame);
        const { code, document } = await run.ended;
        expect({ code, packets: document.packets, verdicts: document.verdicts }).toEqual({
          code: 0,
          packets: 90,
          verdicts: { XDP_TX: 90 },
        });
        expect(document.details).toMatchObject({ withMetadata: 90, metadataLost: 0, checksums: 90, sent: 90 });
        expect(await received(far, 90)).toEqual(frames.map(digest));
        // The capture has what they carried.
        const carried = [...readCapture(readFileSync(out))].map((each) => capturedTraits(each)!);
        const numbers = frames.map((_, i) => Uint8Array.of(i + 1, 0, 0, 0));
        expect(carried.map((traits) => traits.find(({ key }) => key === 1n)?.value)).toEqual(numbers);
        expect(carried.map((traits) => traits.map(({ key }) => key))).toEqual(frames.map(() => [1n, 5n, 40n]));
      },
      TIMEOUT,
    );

    it('says what is wrong with what was asked for', () => {
      const ask = (...args: string[]) => {
        const { status, stderr } = spawnSync(process.execPath, ['bin/sluice.js', 'xdp', 'attach', ...args]);
        return [status, stderr.toString()];
      };
      expect(ask(firewall, '--if', 'no-such-dev')).toEqual([3, expect.stringContaining('no interface no-such-dev')]);
      expect(ask(firewall, '--if', 'lo', '--out', 'x.pcapng')).toEqual([
        2,
        expect.stringContaining('needs --mode afxdp'),
      ]);
      expect(ask(firewall, '--if', pair.here, '--mode', 'afxdp', '--copy', 'zerocopy')).toEqual([
        4,
        expect.stringContaining('EOPNOTSUPP'),
      ]);
      expect(ask(firewall, '--if', 'lo', '--mode', 'native')).toEqual([
        3,
        expect.stringContaining('generic mode works'),
      ]);
      expect(ask(firewall, '--if', 'lo', '--hints')).toEqual([4, expect.stringContaining('no rx metadata')]);
      expect(ask(firewall, '--if', 'lo', '--checksums', 'software')).toEqual([
        2,
        expect.stringContaining('--checksums needs --mode afxdp'),
      ]);
      expect(ask(firewall)).toEqual([2, expect.stringContaining('--if')]);
    });
  },
);
