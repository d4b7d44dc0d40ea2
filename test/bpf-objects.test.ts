// The objects of bpf/ in every engine: benchmark programs give what was computed apart from them (bpf/bench/cases.json), the firewall
// and the parser do the same in user space as in the kernel, and the committed objects are what their sources compile to.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { UnsupportedError } from '../src/errors.ts';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { parseIpv4, parseIpv6 } from '../src/net/addresses.ts';
import { generateCapture } from '../src/net/generator.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject, MapHandle } from '../src/runtime/handles.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';

interface Case {
  readonly object: string;
  readonly program: string;
  /** Program to run once before. */
  readonly prepare?: string;
  readonly dataIn: string;
  readonly returnValue: number;
  readonly dataOut: string;
}

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const cases: readonly Case[] = JSON.parse(readFileSync(path('bpf/bench/cases.json'), 'utf8'));
const spec = (object: string) => readObject(readFileSync(path(`bpf/${object}`)), object);

const refusal = bpfRefusal();
const linux = async (object: string): Promise<LoadedObject> => loadLinux(spec(object));
const user =
  (engine: 'jit' | 'interpreter') =>
  async (object: string): Promise<LoadedObject> =>
    loadUser(new Runtime({ seed: 1n }), [xdpHook], spec(object), { engine });

/** What an engine does not have yet, it says by name; anything else fails. */
async function loadOrSkip(load: Promise<LoadedObject>, skip: (reason: string) => never): Promise<LoadedObject> {
  return load.catch((error: unknown) => {
    if (error instanceof UnsupportedError) return skip(error.message);
    throw error;
  });
}

describe.each([
  ['linux', linux, refusal],
  ['jit', user('jit'), undefined],
  ['interpreter', user('interpreter'), undefined],
] as const)('benchmark programs: %s', (_, load, reason) => {
  for (const [index, { object, program, prepare, dataIn, returnValue, dataOut }] of cases.entries())
    it.skipIf(reason !== undefined)(
      `${program} (case ${index})${reason === undefined ? '' : ` (skipped: ${reason})`}`,
      async ({ skip }) => {
        const loaded = await loadOrSkip(load(object), skip);
        try {
          const data = Uint8Array.from(Buffer.from(dataIn, 'hex'));
          if (prepare !== undefined) loaded.programs[prepare]!.run({ data });
          // Twice: the result must not depend on how often it ran.
          for (let round = 0; round < 2; round++) {
            const result = loaded.programs[program]!.run({ data });
            expect([result.returnValue, Buffer.from(result.data!).toString('hex')]).toEqual([returnValue, dataOut]);
          }
        } finally {
          loaded.close();
        }
      },
    );
});

/** Content by key, in hex, with the CPUs' values added up as u64 words: one CPU here may be two there. */
function content(map: MapHandle): Record<string, string> {
  const perCpu = map.type.startsWith('percpu');
  const entries: [string, string][] = [];
  for (let key = map.raw.nextKey(); key !== undefined; key = map.raw.nextKey(key)) {
    const value = map.raw.lookup(key)!;
    const size = perCpu ? (map.spec.valueSize + 7) & ~7 : value.length;
    const words = new BigUint64Array(Math.ceil(size / 8));
    for (let at = 0; at < value.length; at += size)
      for (let i = 0; i < words.length; i++)
        words[i]! += Buffer.concat([value.subarray(at + 8 * i, at + size), Buffer.alloc(8)]).readBigUInt64LE();
    entries.push([Buffer.from(key).toString('hex'), words.join()]);
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const prefix = (length: number, address: Uint8Array) => Uint8Array.from([...words(length), ...address]);

const objects = [
  {
    name: 'xdp_firewall',
    maps: ['rule_counters', 'flows', '.bss'],
    prepare({ maps }: LoadedObject) {
      maps['blocklist_v4']!.raw.update(prefix(24, parseIpv4('198.51.100.0')), words(16, 1));
      maps['blocklist_v4']!.raw.update(prefix(24, parseIpv4('203.0.113.0')), words(17, 1));
      maps['blocklist_v4']!.raw.update(prefix(25, parseIpv4('203.0.113.128')), words(18, 2));
      maps['blocklist_v6']!.raw.update(prefix(48, parseIpv6('2001:db8:bad::')), words(19, 1));
      // blocking and pop_vlan
      maps['.data']!.raw.update(words(0), Uint8Array.of(1, 1));
    },
    verdicts: [1, 2, 3],
  },
  {
    name: 'xdp_parser',
    maps: ['protocol_counters', 'drop_reasons', 'rules'],
    prepare({ maps }: LoadedObject) {
      // Drop UDP to port 7 and GRE, send back TCP to port 22.
      maps['rules']!.raw.update(Uint8Array.of(7, 0, 17, 0), words(1, 0, 0, 0));
      maps['rules']!.raw.update(Uint8Array.of(0, 0, 47, 0), words(1, 0, 0, 0));
      maps['rules']!.raw.update(Uint8Array.of(22, 0, 6, 0), words(3, 0, 0, 0));
    },
    verdicts: [1, 2, 3],
  },
];

describe.skipIf(refusal !== undefined)(
  `user space and kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    const packets = generateCapture({ seed: 20, count: 3000 });
    const open: LoadedObject[] = [];
    afterAll(() => {
      for (const loaded of open) loaded.close();
    });

    for (const object of objects)
      for (const engine of ['jit', 'interpreter'] as const)
        it(`${object.name} in the ${engine}: same verdicts, packets and maps over ${packets.length} packets`, async ({
          skip,
        }) => {
          const here = await loadOrSkip(user(engine)(`objects/${object.name}.bpf.o`), skip);
          const there = await loadOrSkip(linux(`objects/${object.name}.bpf.o`), skip);
          open.push(here, there);
          const seen = new Set<number>();
          for (const side of [here, there]) object.prepare(side);
          for (const { data } of packets) {
            const [a, b] = [here, there].map((side) => side.programs[object.name]!.run({ data }));
            if (a!.returnValue !== b!.returnValue || Buffer.compare(a!.data!, b!.data!) !== 0)
              expect({ ...a!, data: Buffer.from(a!.data!).toString('hex') }, Buffer.from(data).toString('hex')).toEqual(
                {
                  ...b!,
                  data: Buffer.from(b!.data!).toString('hex'),
                },
              );
            seen.add(b!.returnValue);
          }
          expect([...seen].sort()).toEqual(object.verdicts);
          for (const name of object.maps) expect(content(here.maps[name]!), name).toEqual(content(there.maps[name]!));
        });
  },
);

const clang = ['clang-22', '/usr/lib/llvm-22/bin/clang'].some((name) => spawnSync(name, ['--version']).status === 0);

it.skipIf(!clang)(`built objects are what their sources compile to${clang ? '' : ' (skipped: no clang-22)'}`, () => {
  const script = path('scripts/rebuild-bpf.mjs');
  const { status, stdout } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
