// The fixed form: what drivers say and programs store, through bpf/metadata/rx_meta.bpf.c in both engines.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InputError } from '../../errors.ts';
import { readObject } from '../../object/index.ts';
import type { XdpHints } from '../../runtime/handles.ts';
import { loadUser } from '../../runtime/load.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { FramePool } from './frames.ts';
import { knownOf, storedOf } from './hints.ts';
import { xdpHook } from './index.ts';

const [ENODATA, EOPNOTSUPP] = [-61, -95];
const object = fileURLToPath(new URL('../../../bpf/objects/metadata/rx_meta.bpf.o', import.meta.url));
const u32 = fc.nat({ max: 0xffff_ffff });
const u16 = fc.nat({ max: 0xffff });
const known: fc.Arbitrary<XdpHints> = fc.record(
  {
    timestampNs: fc.bigInt(0n, (1n << 64n) - 1n),
    hash: fc.record({ value: u32, type: u32 }),
    vlan: fc.record({ protocol: u16, tci: u16 }),
  },
  { requiredKeys: [] },
);

/** struct known of the programs: what is to be stored. */
function packet(stored: XdpHints): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  const flags = (stored.hash ? 1 : 0) | (stored.vlan ? 2 : 0) | (stored.timestampNs === undefined ? 0 : 4);
  view.setUint16(14, flags, true);
  view.setUint32(16, stored.hash?.value ?? 0, true);
  view.setUint32(20, stored.hash?.type ?? 0, true);
  view.setUint16(24, stored.vlan?.protocol ?? 0, false);
  view.setUint16(26, stored.vlan?.tci ?? 0, true);
  view.setBigUint64(28, stored.timestampNs ?? 0n, true);
  return bytes;
}

/** What the programs read, and the results of those calls that found nothing. */
function found(data: Uint8Array): { readonly known: XdpHints; readonly refused: readonly number[] } {
  const view = new DataView(data.buffer, data.byteOffset);
  const results = [36, 40, 44].map((at) => view.getInt32(at, true));
  return {
    known: {
      ...(results[2] === 0 ? { timestampNs: view.getBigUint64(28, true) } : {}),
      ...(results[0] === 0 ? { hash: { value: view.getUint32(16, true), type: view.getUint32(20, true) } } : {}),
      ...(results[1] === 0 ? { vlan: { protocol: view.getUint16(24, false), tci: view.getUint16(26, true) } } : {}),
    },
    refused: results.filter((result) => result !== 0),
  };
}

describe.each(['jit', 'interpreter'] as const)('%s', (engine) => {
  const open = () =>
    loadUser(new Runtime({ seed: 1n }), [xdpHook], readObject(readFileSync(object), object), { engine });

  it('reads what was stored, then what the driver says, then nothing', async () => {
    const loaded = await open();
    fc.assert(
      fc.property(known, fc.option(known, { nil: undefined }), (stored, hints) => {
        const { returnValue, data, ...result } = loaded.programs.store_and_read!.run({
          data: packet(stored),
          ...(hints === undefined ? {} : { hints }),
        });
        const all = { ...hints, ...stored };
        const anything = hints !== undefined || Object.keys(stored).length > 0;
        expect(returnValue).toBe(2);
        expect(result.stored).toEqual(Object.keys(stored).length === 0 ? undefined : stored);
        expect(found(data!)).toEqual({
          known: all,
          refused: Array(3 - Object.keys(all).length).fill(anything ? ENODATA : EOPNOTSUPP),
        });
      }),
      { numRuns: 200 },
    );
    loaded.close();
  });

  it('keeps nothing for the next packet', async () => {
    const loaded = await open();
    loaded.programs.store_known!.run({ data: packet({ hash: { value: 1, type: 2 }, timestampNs: 3n }) });
    const { data, stored } = loaded.programs.read_known!.run({ data: packet({}) });
    expect(found(data!)).toEqual({ known: {}, refused: [EOPNOTSUPP, EOPNOTSUPP, EOPNOTSUPP] });
    expect(stored).toBeUndefined();
    loaded.close();
  });
});

it('takes whole numbers that have a place', () => {
  const runtime = new Runtime();
  const pool = new FramePool(runtime, 1);
  const fill = (hints: XdpHints) => () => pool.fill(0, new Uint8Array(60), { hints });
  for (const hints of [
    { hash: { value: -1, type: 0 } },
    { hash: { value: 2 ** 32, type: 0 } },
    { hash: { value: 1, type: 0.5 } },
    { vlan: { protocol: 65536, tci: 0 } },
    { vlan: { protocol: 0, tci: -1 } },
    { timestampNs: -1n },
    { timestampNs: 1n << 64n },
  ])
    expect(fill(hints)).toThrow(expect.objectContaining({ code: 'SLUICE_HINTS' }) as InputError);
  fill({ vlan: { protocol: 0x8100, tci: 7 } })();
  expect(storedOf(runtime.view(), pool.descriptor(0))).toBeUndefined();
  expect(knownOf(runtime.view(), pool.descriptor(0))).toEqual({ vlan: { protocol: 0x8100, tci: 7 } });
  pool.free();
});
