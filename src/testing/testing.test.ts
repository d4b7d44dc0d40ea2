import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { HelperResults } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { writeObject } from '../object/write.ts';
import { differenceOf } from './expected-value.ts';
import { ethernet, ipv4, loadForTest, packet, readTestFile, runTestFile, udp } from './index.ts';
import { packetFromJson } from './packet-json.ts';

const firewall = fileURLToPath(new URL('../../bpf/objects/xdp_firewall.bpf.o', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sluice-testing-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** An object with one XDP program that returns what the text leaves in r0. */
function xdp(text: string): Uint8Array {
  const { insns, functions } = assemble(`prog:\n${text}\nexit\n`, { syntax: 'llvm', input: 'prog.s' });
  return writeObject({ section: 'xdp', license: 'GPL', insns, functions });
}
const frame = packet(ethernet(), ipv4({ src: '198.51.100.7', dst: '10.0.0.1' }), udp({ srcPort: 1000, dstPort: 53 }));

describe.each(['jit', 'interpreter'] as const)('matchers: %s', (engine) => {
  it('say what a run did', async () => {
    const object = await loadForTest(firewall, {
      engine,
      maps: {
        blocklist_v4: [
          [
            { prefix_length: 24, address: Uint8Array.of(198, 51, 100, 0) },
            { rule: 16, action: 1 },
          ],
        ],
      },
    });
    const run = object.run(frame);
    expect(run).toDrop();
    expect(run).not.toPass();
    expect(run).toHaveVerdict('XDP_DROP');
    expect(run).toLeavePacketUnchanged();
    expect(object.maps['rule_counters']).toHaveEntry(16, { packets: 1n, bytes: 42n });
    expect(object.maps['rule_counters']).not.toHaveEntry(16, { packets: 2n });
    expect(object.maps['blocklist_v4']).not.toHaveEntry({ prefix_length: 8, address: Uint8Array.of(9, 0, 0, 0) });
    expect(object.events('events')).toHaveLength(1);
    expect(() => expect(run).toPass()).toThrow('expected xdp_firewall to pass the packet; its verdict is XDP_DROP');
    object.close();
  });

  it('let a program see the clock, CPU and task that were set', async () => {
    const result = async (text: string, options: Parameters<typeof loadForTest>[1]) => {
      const object = await loadForTest(xdp(text), { engine, ...options });
      const values = [object.run(frame).returnValue, object.run(frame).returnValue];
      object.close();
      return values;
    };
    expect(await result('call 5', { clock: { at: 1234n } })).toEqual([1234, 1234]);
    expect(await result('call 5', { clock: { at: 1000n, step: 10 } })).toEqual([1000, 1010]);
    expect(await result('call 8', { cpu: 3 })).toEqual([3, 3]);
    expect(await result('call 14', { task: { pid: 7, tgid: 5 } })).toEqual([7, 7]);
    expect(await result('call 14\nr0 >>= 32', { task: { pid: 7, tgid: 5 } })).toEqual([5, 5]);
    expect(await result('call 15\nr0 >>= 32', { task: { uid: 1, gid: 2 } })).toEqual([2, 2]);
    const comm = 'r1 = r10\nr1 += -8\nr2 = 8\ncall 16\nr0 = *(u32 *)(r10 - 4)';
    // "sluice-test" cut to 7 letters and a NUL: "ce-\0" in the upper half.
    expect(await result(comm, { task: { comm: 'sluice-test' } })).toEqual([0x002d6563, 0x002d6563]);
    const results = (given: HelperResults) => ({ helperResults: given });
    expect(await result('call 7', results({ bpf_get_prandom_u32: [4, 5n] }))).toEqual([4, 5]);
    expect(await result('call 7\ncall 7', results({ bpf_get_prandom_u32: [4, 5n] }))).toEqual([5, 5]);
    expect(await result('call 14', results({ bpf_get_current_pid_tgid: -2 }))).toEqual([0xffff_fffe, 0xffff_fffe]);
    const random = await result('call 7', { seed: 9n });
    expect(random[0]).not.toBe(random[1]);
    expect(await result('call 7', { seed: 9n })).toEqual(random);
    expect(await result('call 7', { seed: 10n })).not.toEqual(random);
  });
});

describe('test files', () => {
  const write = (content: object): string => {
    const path = join(scratch, 'a.bpf.test.json');
    writeFileSync(path, JSON.stringify({ object: firewall, ...content }));
    return path;
  };

  it('fail with every expectation that is not met', async () => {
    const file = readTestFile(
      write({
        cases: [
          {
            name: 'wrong',
            packet: Buffer.from(frame).toString('hex'),
            expect: {
              verdict: 'drop',
              packet: '00',
              maps: { rule_counters: [[0, { packets: 2 }]], '.bss': { verdicts: [0, 0, 0, 0, 0] }, other: [] },
              events: { events: ['hex:00'] },
            },
          },
        ],
      }),
    );
    const [result] = await runTestFile(file, 'jit');
    expect(result).toMatchObject({ status: 'failed', name: 'wrong' });
    expect(result!.problems).toEqual([
      'verdict: expected XDP_DROP, found XDP_PASS',
      expect.stringMatching(/^packet: expected hex:00, found hex:0200000000020/),
      'map rule_counters[0]: packets: expected 2, found 1',
      'map .bss[0]: verdicts[2]: expected 0, found 1',
      'map other: the object has none',
      'events events: expected [hex:00], found []',
    ]);
  });

  it('are refused with the place of what is wrong', () => {
    const refused = (content: object) => {
      try {
        readTestFile(write(content));
      } catch (error) {
        return error instanceof Error ? error.message.replace(/^.*\.json/, '') : '';
      }
      return 'read';
    };
    expect(refused({ cases: {} })).toBe(': cases must be a list');
    expect(refused({ cases: [{ expect: {} }] })).toContain(': cases[0].expect: expects nothing');
    expect(refused({ cases: [{ expect: { verdikt: 1 } }] })).toContain('no member verdikt');
    expect(refused({ cases: [{ packet: [{ ipv4: { src: '1.2.3.4' } }], expect: { verdict: 1 } }] })).toBe(
      ': cases[0].packet[0]: ipv4 needs dst',
    );
    expect(refused({ cases: [{ packet: { pcap: 'no.pcap' }, expect: { verdict: 1 } }] })).toContain('cannot be read');
  });

  it('skip in the kernel what cannot be set there', async () => {
    const file = readTestFile(write({ clock: 5, cases: [{ packet: '00', expect: { verdict: 1 } }] }));
    expect(await runTestFile(file, 'linux')).toMatchObject([
      { status: 'skipped', problems: ["the kernel's clock cannot be set"] },
    ]);
  });
});

describe('packets as JSON', () => {
  it('are what the builder makes', () => {
    const json = [
      { ethernet: {} },
      { ipv4: { src: '198.51.100.7', dst: 'hex:0a000001' } },
      { udp: { srcPort: 1000, dstPort: '0x35' } },
    ];
    expect(packetFromJson(json, 'p')).toEqual(frame);
    expect(packetFromJson([...json, { payload: 'ab' }], 'p').subarray(-2)).toEqual(Uint8Array.of(0x61, 0x62));
    expect(packetFromJson('00 01', 'p')).toEqual(Uint8Array.of(0, 1));
    expect(() => packetFromJson([{ ipv4: { src: '1.2.3.4', dst: '1.2.3.4', ttl: 'high' } }], 'p')).toThrow(
      'p[0].ipv4.ttl: "high" is not of kind number',
    );
    expect(() => packetFromJson([{ ipx: {} }], 'p')).toThrow('no layer ipx');
  });
});

describe('expected values', () => {
  it('hold the members that they name, numbers of both kinds and bytes', () => {
    const found = { a: 1n, b: { c: 2, d: Uint8Array.of(1, 2) }, e: [true] };
    expect(differenceOf({ a: 1, b: { d: Uint8Array.of(1, 2) }, e: [1] }, found)).toBeUndefined();
    expect(differenceOf({ b: { d: [1, 2] } }, found)).toBeUndefined();
    expect(differenceOf({ b: { c: 3n } }, found)).toBe('b.c: expected 3, found 2');
    expect(differenceOf({ e: [] }, found)).toBe('e: expected [], found [true]');
    expect(differenceOf({ z: 1 }, found)).toBe('z: expected 1, found nothing');
    expect(differenceOf(2n ** 63n, 2n ** 63n + 1n)).toContain('expected 9223372036854775808');
  });
});
