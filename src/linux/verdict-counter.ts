/**
 * Verdicts of an XDP program in the kernel, counted by the program itself: a function in front calls it and adds one, and the packet's length, to the
 * element of what it returned. The kernel keeps no such count, and a program that watches another one (fexit) needs tracing.
 */
import { xdpAction } from '../abi/programs/xdp.ts';
import { InputError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { LinuxMap } from './linux-map.ts';
import { ownMap, withFront } from './program-front.ts';

const MAP = '.sluice.verdicts';
/** Elements: one a verdict, and one for values that are none. */
export const VERDICTS = Math.max(...Object.values(xdpAction)) + 2;

/** Bytes of an element: u64 packets, u64 bytes. */
const ELEMENT = 16;

/** Its LDDW, at MAP_SLOT, gets the map; its first call is of the program. The length is that before the program: of a frame's first buffer. */
const counter = assemble(
  `
  r7 = *(u32 *)(r1 + 4)
  r2 = *(u32 *)(r1 + 0)
  r7 -= r2
  call 0
  r6 = r0
  w1 = w0
  if w1 < ${VERDICTS - 1} goto known
  w1 = ${VERDICTS - 1}
known:
  *(u32 *)(r10 - 4) = r1
  r2 = r10
  r2 += -4
  r1 = 0 ll
  call 1
  if r0 == 0 goto out
  r1 = *(u64 *)(r0 + 0)
  r1 += 1
  *(u64 *)(r0 + 0) = r1
  r1 = *(u64 *)(r0 + 8)
  r1 += r7
  *(u64 *)(r0 + 8) = r1
out:
  r0 = r6
  exit`,
  { syntax: 'llvm' },
).insns;
const CALL_SLOT = counter.findIndex(({ opcode }) => opcode === 0x85);
const MAP_SLOT = counter.findIndex(({ opcode }) => opcode === 0x18);

const map = ownMap({ name: MAP, type: 'percpu_array', keySize: 4, valueSize: ELEMENT, maxEntries: VERDICTS });

/** The object with `name` counting its verdicts. Needs one call frame and 8 bytes of stack more than the program. */
export function withVerdictCounter(object: ObjectSpec, name: string): ObjectSpec {
  return withFront(object, name, {
    insns: counter,
    call: CALL_SLOT,
    references: new Map([[MAP_SLOT, { kind: 'map', map: MAP }]]),
    map,
  });
}

export interface VerdictCount {
  readonly packets: number;
  readonly bytes: number;
}

/** So far, summed over the CPUs, by enum xdp_action; the last element counts other values. */
export function readVerdicts(maps: Readonly<Record<string, LinuxMap>>): VerdictCount[] {
  const raw = maps[MAP];
  if (raw === undefined) throw new InputError('SLUICE_NO_MAP', 'the object was loaded without a verdict counter');
  return Array.from({ length: VERDICTS }, (_, verdict) => {
    const values = raw.raw.lookup(Uint8Array.from(new Uint8Array(Uint32Array.of(verdict).buffer)))!;
    const view = new DataView(values.buffer, values.byteOffset, values.length);
    let packets = 0;
    let bytes = 0;
    for (let at = 0; at < values.length; at += ELEMENT) {
      packets += Number(view.getBigUint64(at, true));
      bytes += Number(view.getBigUint64(at + 8, true));
    }
    return { packets, bytes };
  });
}
