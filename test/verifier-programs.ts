/** Random programs near the border between what is accepted and what is not: sequences that make sense, with wrong numbers here and there. */

import { functionsOf } from '../src/isa/functions.ts';
import type { Insn } from '../src/isa/insn.ts';
import type { MapSpec, ProgramSpec, Reference } from '../src/object/spec.ts';

/** xorshift32 with a seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let x = seed | 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

export const arrayMap: MapSpec = {
  name: 'values',
  type: 'array',
  keySize: 4,
  valueSize: 48,
  maxEntries: 4,
  flags: 0,
  mapExtra: 0n,
  numaNode: 0,
  pinning: 'none',
  keyTypeId: 0,
  valueTypeId: 0,
  inner: undefined,
  contents: { kind: 'none' },
  section: '.maps',
};
export const hashMap: MapSpec = { ...arrayMap, name: 'table', type: 'hash', keySize: 8 };

const aluOperations = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0];
const jumpOperations = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const constants = [
  0, 1, 2, 3, 4, 7, 8, 14, 16, 31, 32, 47, 48, 63, 64, 255, 256, 511, 0xffff, -1, -2, -8, -64, 0x7fffffff, -0x80000000,
];
const sizeBits = [0x00, 0x08, 0x10, 0x18];

export interface RandomProgram {
  readonly type: 'socket_filter' | 'xdp';
  readonly insns: Insn[];
  /** LDDWs that load a map, by slot. */
  readonly mapsAt: Map<number, MapSpec>;
}

/** A program for socket_filter or xdp with loops, branches, stack, packet and map accesses. */
export function randomProgram(seed: number): RandomProgram {
  const random = randomNumbers(seed * 2654435761 + 12345);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const type = pick(['socket_filter', 'xdp'] as const);
  const insns: Insn[] = [];
  const mapsAt = new Map<number, MapSpec>();
  const emit = (opcode: number, dst = 0, src = 0, off = 0, imm = 0) => {
    insns.push({ opcode, dst, src, off, imm });
  };
  // r6 context, r7 and r8 scalars or pointers, r9 a scalar.
  emit(0xbf, 6, 1);
  emit(0xb7, 7, 0, 0, pick(constants));
  emit(0x85, 0, 0, 0, 7);
  emit(0xbf, 8, 0);
  emit(0xb7, 9, 0, 0, pick(constants));
  emit(0xb7, 0, 0, 0, 0);
  const scalars = () => pick([0, 7, 8, 9]);
  const exits: number[] = [];
  const narrow = (register: number) => {
    switch (random(4)) {
      case 0:
        emit(0x57, register, 0, 0, pick([1, 3, 7, 15, 31, 47, 63, 0xff]));
        break;
      case 1:
        emit(pick([0x25, 0x35, 0x26, 0x65]), register, 0, 0, pick([8, 16, 40, 47, 48, 100]));
        exits.push(insns.length - 1);
        break;
      case 2:
        emit(0x77, register, 0, 0, pick([58, 59, 60, 32]));
        break;
      default:
        emit(0x97, register, 0, 0, pick([8, 40, 47]));
    }
  };
  const blocks = 2 + random(7);
  for (let block = 0; block < blocks; block++) {
    switch (random(11)) {
      case 0:
      case 1:
      case 2: {
        // Arithmetic.
        for (let i = 1 + random(4); i > 0; i--) {
          const operation = pick(aluOperations);
          const wide = random(2) === 0 ? 0x07 : 0x04;
          const shift = operation === 0x60 || operation === 0x70 || operation === 0xc0;
          if (random(2) === 0) {
            const imm = shift ? random(wide === 7 ? 64 : 32) : pick(constants);
            emit(operation | wide, scalars(), 0, 0, (operation === 0x30 || operation === 0x90) && imm === 0 ? 1 : imm);
          } else emit(operation | wide | 8, scalars(), scalars());
        }
        if (random(4) === 0) emit(pick([0x87, 0x84]), scalars());
        if (random(4) === 0) emit(pick([0xbf, 0xbc]), scalars(), scalars(), pick([8, 16]));
        break;
      }
      case 3: {
        // A jump over some of what follows, filled in later.
        const wide = random(2) === 0 ? 0x05 : 0x06;
        if (random(2) === 0) emit(pick(jumpOperations) | wide, scalars(), 0, 1, pick(constants));
        else emit(pick(jumpOperations) | wide | 8, scalars(), scalars(), 1);
        emit(0x07, scalars(), 0, 0, pick(constants));
        break;
      }
      case 4: {
        // Stack, constant offset.
        const size = pick(sizeBits);
        const bytes = [4, 2, 1, 8][size >> 3]!;
        const off = -bytes * (1 + random(Math.floor(64 / bytes)));
        const at = random(12) === 0 ? off + 1 : off;
        if (random(2) === 0) emit(0x63 | size, 10, scalars(), at);
        else emit(0x62 | size, 10, 0, at, pick(constants));
        emit(0x61 | pick(sizeBits), scalars(), 10, random(3) === 0 ? -8 * (1 + random(8)) : at);
        break;
      }
      case 5: {
        // Stack, variable offset.
        const register = pick([8, 9]);
        narrow(register);
        emit(0xbf, 2, 10);
        emit(0x07, 2, 0, 0, pick([-64, -56, -48, -512, -513, -16]));
        emit(0x0f, 2, register);
        if (random(2) === 0) emit(0x72, 2, 0, 0, random(2));
        else emit(0x71, scalars(), 2, 0);
        break;
      }
      case 6:
      case 7: {
        // Map value, NULL check most of the time, variable offset some of the time.
        const map = pick([arrayMap, hashMap]);
        emit(map.keySize === 8 ? 0x7a : 0x62, 10, 0, -8, pick([0, 1, 5]));
        emit(0xbf, 2, 10);
        emit(0x07, 2, 0, 0, random(15) === 0 ? -4 : -8);
        mapsAt.set(insns.length, map);
        emit(0x18, 1, 1);
        emit(0);
        emit(0x85, 0, 0, 0, 1);
        if (random(12) !== 0) {
          emit(0x15, 0, 0, 0, 0);
          exits.push(insns.length - 1);
        }
        if (random(2) === 0) {
          const register = pick([7, 8, 9]);
          narrow(register);
          if (random(3) === 0) narrow(register);
          emit(0x0f, 0, register);
        }
        const size = pick(sizeBits);
        const off = pick([0, 0, 8, 16, 40, 44, 47, -1]);
        if (random(2) === 0) emit(0x63 | size, 0, pick([7, 8, 9]), off);
        else emit(0x61 | size, pick([7, 8, 9]), 0, off);
        if (random(3) === 0) emit(0xdb, 0, 9, 0, pick([0, 1, 0x41, 0xe1]));
        emit(0xb7, 0, 0, 0, random(3));
        break;
      }
      case 8: {
        if (type !== 'xdp') {
          emit(0x61, pick([7, 8, 9]), 6, pick([0, 4, 8, 16, 48, 60]));
          break;
        }
        // Packet.
        emit(0x61, 2, 6, 0);
        emit(0x61, 3, 6, 4);
        emit(0xbf, 4, 2);
        if (random(2) === 0) {
          const register = pick([7, 8, 9]);
          narrow(register);
          emit(0x0f, 4, register);
          emit(0xbf, 2, 4);
        }
        emit(0x07, 4, 0, 0, pick([1, 8, 14, 34]));
        emit(pick([0x2d, 0x3d, 0x2d, 0x2d, 0xad]), 4, 3, 0);
        exits.push(insns.length - 1);
        const size = pick(sizeBits);
        if (random(3) === 0) emit(0x63 | size, 2, 9, pick([0, 6, 12]));
        else emit(0x61 | size, pick([7, 8, 9]), 2, pick([0, 6, 10, 13]));
        break;
      }
      case 9: {
        // Bounded loop.
        emit(0xb7, 7, 0, 0, 0);
        const start = insns.length;
        emit(0x07, 7, 0, 0, pick([1, 1, 2, 3]));
        if (random(2) === 0) emit(0x0f, 8, 7);
        if (random(3) === 0) emit(0x67, 9, 0, 0, 1);
        emit(pick([0xa5, 0xc5, 0xa6, 0x55]), 7, 0, start - insns.length - 1, pick([4, 9, 12, 30]));
        break;
      }
      default:
        // Numbers as helpers give them; caller-saved registers are gone.
        emit(0x85, 0, 0, 0, pick([7, 8, 5]));
        if (random(8) === 0) emit(0xbf, 8, 1);
        emit(0xbf, pick([7, 8, 9]), 0);
    }
  }
  emit(0xb7, 0, 0, 0, 1);
  emit(0x95);
  for (const at of exits) insns[at] = { ...insns[at]!, off: insns.length - 2 - at - 1 };
  return { type, insns, mapsAt };
}

export function specOf(program: RandomProgram): ProgramSpec {
  const references = new Map<number, Reference>();
  for (const [slot, map] of program.mapsAt) references.set(slot, { kind: 'map', map: map.name });
  return {
    name: 'random',
    section: program.type,
    autoload: true,
    type: program.type,
    attachType: undefined,
    attachTo: undefined,
    sleepable: false,
    frags: false,
    insns: program.insns,
    functions: functionsOf(program.insns).map((range) => ({
      name: 'random',
      linkage: 'static',
      btfId: undefined,
      ...range,
    })),
    references,
    coreRelocations: [],
    lines: [],
  };
}

export const randomMaps: ReadonlyMap<string, MapSpec> = new Map([arrayMap, hashMap].map((map) => [map.name, map]));
