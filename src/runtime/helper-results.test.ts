import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { helpers } from '../abi/helpers/index.ts';
import { load } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { writeObject } from '../object/write.ts';
import { ethernet, ipv4, packet, udp } from '../testing/index.ts';
import { type HelperResults, helperResultsFromJson } from './helper-results.ts';
import { Runtime } from './runtime.ts';

function object(section: string, text: string): Uint8Array {
  const { insns, functions } = assemble(`prog:\n${text}\nexit\n`, { syntax: 'llvm', input: 'prog.s' });
  return writeObject({ section, license: 'GPL', insns, functions });
}

const rateLimit = readFileSync(new URL('../../bpf/objects/xdp_rate_limit.bpf.o', import.meta.url));

const runtime = (helperResults: Readonly<Record<string, unknown>>) =>
  new Runtime({ helperResults: helperResults as HelperResults });

describe.each(['jit', 'interpreter'] as const)('results of helpers: %s', (engine) => {
  it('come in turn, the last one stays, all 64 bits', async () => {
    const results = { bpf_ktime_get_ns: [-1n, 1n << 63n, 7] };
    const { programs, close } = await load(object('xdp', 'call 5'), { engine, helperResults: results });
    const data = new Uint8Array(64);
    const all = [1, 2, 3, 4].map(() => programs['prog']!.run({ data }).r0);
    expect(all).toEqual([(1n << 64n) - 1n, 1n << 63n, 7n, 7n]);
    close();
  });

  it('are of the runtime: programs of several objects take them in turn', async () => {
    const shared = runtime({ bpf_get_prandom_u32: [1, 2, 3] });
    const first = await load(object('xdp', 'call 7'), { engine, runtime: shared });
    const second = await load(object('xdp', 'call 7\nr0 *= 10'), { engine, runtime: shared });
    const data = new Uint8Array(64);
    const all = [first, second, first].map(({ programs }) => programs['prog']!.run({ data }).r0);
    expect(all).toEqual([1n, 20n, 3n]);
  });

  it('stand in for operations on maps that the JIT knows by their type', async () => {
    const limit = await load(rateLimit, { engine, seed: 1n, helperResults: { bpf_map_update_elem: -7 } });
    const plain = await load(rateLimit, { engine, seed: 1n });
    const data = packet(
      ethernet(),
      ipv4({ src: '198.51.100.7', dst: '10.0.0.1' }),
      udp({ srcPort: 1000, dstPort: 53 }),
    );
    const entries = [limit, plain].map(({ programs, maps }) => {
      programs['xdp_rate_limit']!.run({ data });
      return Object.values(maps).reduce(
        (sum, map) => sum + (map.spec.type.includes('hash') ? [...map.entries()].length : 0),
        0,
      );
    });
    expect(entries).toEqual([0, 1]);
  });

  it('stand in for helpers that are not there, and with arguments', async () => {
    const cookie = object('raw_tp', 'call 174');
    await expect(load(cookie, { engine })).rejects.toThrow('bpf_get_attach_cookie');
    const given = await load(cookie, { engine, helperResults: { bpf_get_attach_cookie: 5 } });
    expect(given.programs['prog']!.run({ context: new Uint8Array(8) }).r0).toBe(5n);
    const redirect = object('xdp', 'r1 = 1\nr2 = 0\ncall 23');
    const redirected = await load(redirect, { engine, helperResults: { bpf_redirect: 2 } });
    expect(redirected.programs['prog']!.run({ data: new Uint8Array(64) }).r0).toBe(2n);
  });
});

describe('results of helpers', () => {
  it.each([
    ['bpf_nothing', 1, 'there is no helper'],
    ['bpf_map_lookup_elem', 1, 'its result is a pointer'],
    ['bpf_get_current_comm', 0, 'more than read its argument 1'],
    ['bpf_xdp_adjust_head', 0, 'it changes the packet'],
    ['bpf_sk_release', 0, 'it releases'],
    ['bpf_spin_lock', 0, 'no result'],
    ['bpf_loop', 0, 'argument 2'],
    ['bpf_tail_call', 0, 'another program'],
    ['bpf_get_smp_processor_id', 0, '`cpu`'],
    ['bpf_ktime_get_ns', [], 'needs a result'],
    ['bpf_ktime_get_ns', 1.5, 'no result of'],
    ['bpf_ktime_get_ns', 1n << 64n, '64 bits'],
    ['bpf_ktime_get_ns', -(1n << 63n) - 1n, '64 bits'],
  ])('%s is refused: %s', (name, value, message) => {
    expect(() => runtime({ [name]: value })).toThrow(expect.objectContaining({ code: 'SLUICE_HELPER_RESULT' }));
    expect(() => runtime({ [name]: value })).toThrow(message);
  });

  it('of every helper are set or refused', () => {
    let set = 0;
    for (const { name, returns } of helpers.values()) {
      try {
        runtime({ [name]: 1 });
        expect(returns).toBe('integer');
        set++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'SLUICE_HELPER_RESULT' });
      }
    }
    expect(set).toBeGreaterThan(80);
  });

  it('in JSON are numbers, texts and lists', () => {
    expect(helperResultsFromJson({ a: 1, b: '-0x10', c: ['5', 6] }, 'f')).toEqual({ a: 1, b: -16n, c: [5n, 6] });
    for (const wrong of [null, [], { a: {} }, { a: 'x' }, { a: [[1]] }])
      expect(() => helperResultsFromJson(wrong, 'f')).toThrow('must be results');
  });
});
