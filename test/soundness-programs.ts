/**
 * Random programs that do what programs do, on numbers that the verifier cannot know: loads, masks and comparisons, copies that learn from
 * one another, spills that are overwritten in part, lookups with and without their checks, packets that move. Short, so that most of
 * what is accepted is also explored in a moment.
 */
import type { Insn } from '../src/isa/insn.ts';
import type { MapSpec } from '../src/object/spec.ts';
import { arrayMap, hashMap, type RandomProgram, randomNumbers } from './verifier-programs.ts';

const constants = [
  0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 47, 63, 64, 127, 128, 255, 256, 0xffff, -1, -2, -8, -128, 0x7fffffff,
  -0x80000000,
];
const masks = [1, 3, 6, 7, 0xf, 0x1c, 0x1f, 0x2f, 0x3f, 0xff, 0xfff];
const arithmetic = [0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xc0, 0x00, 0x10, 0x60, 0x70, 0xc0];
const comparisons = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const sizeBits = [0x00, 0x08, 0x10, 0x18];
const bytesOf = (size: number) => [4, 2, 1, 8][size >> 3]!;
const ADJUST_HEAD = 44;

/** r6 is the context; r7 to r9 numbers or pointers that the last block left. */
export function purposefulProgram(seed: number): RandomProgram {
  const random = randomNumbers(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  for (let i = 0; i < 4; i++) random(2);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const insns: Insn[] = [];
  const mapsAt = new Map<number, MapSpec>();
  const exits: number[] = [];
  const calls: number[] = [];
  const emit = (opcode: number, dst = 0, src = 0, off = 0, imm = 0) => insns.push({ opcode, dst, src, off, imm }) - 1;
  const leave = (at: number) => exits.push(at);
  const scalar = () => pick([7, 8, 9]);
  const wide = () => (random(3) === 0 ? 4 : 7);
  const lookup = (map: MapSpec, into: number) => {
    emit(map.keySize === 8 ? 0x7a : 0x62, 10, 0, -8, random(4));
    emit(0xbf, 2, 10);
    emit(0x07, 2, 0, 0, -8);
    mapsAt.set(insns.length, map);
    emit(0x18, 1, 1);
    emit(0);
    emit(0x85, 0, 0, 0, 1);
    if (into !== 0) emit(0xbf, into, 0);
  };
  /** A number that nothing is known of. */
  const source = (register: number) => {
    switch (random(3)) {
      case 0:
        emit(0x85, 0, 0, 0, 7);
        emit(0xbf, register, 0);
        return;
      case 1:
        lookup(pick([arrayMap, hashMap]), 0);
        emit(0x55, 0, 0, 2, 0);
        emit(0xb7, register, 0, 0, pick(constants));
        emit(0x05, 0, 0, 1, 0);
        emit(pick([0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91]), register, 0, pick([0, 8, 16, 40]));
        return;
      default:
        emit(0x61, 2, 6, 0);
        emit(0x61, 3, 6, 4);
        emit(0xbf, 1, 2);
        emit(0x07, 1, 0, 0, 14);
        leave(emit(0x2d, 1, 3));
        emit(pick([0x61, 0x69, 0x71]), register, 2, pick([0, 4, 10]));
    }
  };
  const narrow = (register: number) => {
    switch (random(6)) {
      case 0:
        emit(0x50 | wide(), register, 0, 0, pick(masks));
        return;
      case 1:
        emit(0x77, register, 0, 0, pick([56, 58, 59, 60, 62]));
        return;
      case 2:
        leave(emit(pick([0x25, 0x35, 0x26, 0x36]), register, 0, 0, pick([3, 8, 15, 32, 40, 47])));
        return;
      case 3:
        leave(emit(pick([0x65, 0x75, 0x66, 0x76]), register, 0, 0, pick([3, 8, 15, 32, 40, 47])));
        leave(emit(pick([0xc5, 0xc6]), register, 0, 0, pick([-8, 0, 0, 1])));
        return;
      case 4:
        leave(emit(0xa5, register, 0, 0, pick([1, 4, 200])));
        leave(emit(0x25, register, 0, 0, pick([8, 15, 32, 40, 300])));
        return;
      default:
        emit(0x97, register, 0, 0, pick([2, 8, 16, 40]));
    }
  };
  const compute = () => {
    const operation = pick(arithmetic);
    const width = wide();
    const shift = operation === 0x60 || operation === 0x70 || operation === 0xc0;
    if (shift) emit(operation | width, scalar(), 0, 0, random(width === 7 ? 64 : 32));
    else if (random(2) === 0) emit(operation | width, scalar(), 0, 0, pick(constants));
    else emit(operation | width | 8, scalar(), scalar());
    if (random(8) === 0) emit(pick([0x87, 0x84]), scalar());
    if (random(5) === 0) emit(pick([0xbf, 0xbc]), scalar(), scalar(), pick([8, 16]));
    if (random(8) === 0) emit(pick([0xdc, 0xd4, 0xd7]), scalar(), 0, 0, pick([16, 32, 64]));
  };
  /** Either way of a comparison; the ways meet again behind it. */
  const diverge = (inside: () => void) => {
    const kind = random(3) === 0 ? 6 : 5;
    const at =
      random(2) === 0
        ? emit(pick(comparisons) | kind, scalar(), 0, 0, pick(constants))
        : emit(pick(comparisons) | kind | 8, scalar(), scalar());
    inside();
    insns[at] = { ...insns[at]!, off: insns.length - at - 1 };
  };
  /** Reads or writes a map value or the stack at an offset that the number is part of. */
  const use = (register: number) => {
    if (random(2) === 0) {
      lookup(arrayMap, 0);
      leave(emit(0x15, 0, 0, 0, 0));
      emit(0x0f, 0, register);
      emit(0x61 | pick(sizeBits), scalar(), 0, pick([0, 0, 1, 8]));
    } else {
      for (let off = -64; off < 0; off += 8) emit(0x7a, 10, 0, off, 0);
      emit(0xbf, 1, 10);
      emit(0x07, 1, 0, 0, pick([-64, -48, -40]));
      emit(0x0f, 1, register);
      if (random(2) === 0) emit(0x71, scalar(), 1, 0);
      else emit(0x73, 1, scalar(), 0);
    }
  };
  const packet = () => {
    emit(0x61, 7, 6, 0);
    emit(0x61, 3, 6, 4);
    emit(0xbf, 4, 7);
    if (random(3) === 0) {
      narrow(9);
      emit(0x0f, 4, 9);
      if (random(3) !== 0) emit(0xbf, 7, 4);
    }
    const size = pick([1, 2, 14, 20, 34]);
    emit(0x07, 4, 0, 0, size);
    const form = random(6);
    if (form === 0) {
      const at = emit(pick([0x3d, 0x2d]), 4, 3);
      emit(0x71, 8, 7, size - 1 - (random(6) === 0 ? -1 : 0));
      insns[at] = { ...insns[at]!, off: 1 };
    } else if (form === 1) {
      leave(emit(pick([0xad, 0xbd]), 3, 4));
      emit(0x71, 8, 7, size - 1);
    } else {
      leave(emit(pick([0x2d, 0x3d]), 4, 3));
      if (random(3) === 0) {
        emit(0xbf, 1, 6);
        emit(0xb7, 2, 0, 0, pick([0, -4, 4]));
        emit(0x85, 0, 0, 0, ADJUST_HEAD);
        if (random(3) !== 0) leave(emit(0x55, 0, 0, 0, 0));
      }
      emit(pick([0x71, 0x71, 0x69]), 8, 7, Math.max(0, size - 1 - random(3)));
    }
    if (random(2) === 0) emit(0xb7, 7, 0, 0, pick(constants));
    else emit(0x71, 7, 7, 0);
  };
  const twoLookups = () => {
    lookup(hashMap, 7);
    lookup(pick([hashMap, arrayMap]), 8);
    if (random(3) === 0) diverge(() => emit(0xb7, 9, 0, 0, pick(constants)));
    const checked = pick([[7], [8], [7, 8], [7, 8], [7, 8]]);
    for (const register of checked) leave(emit(0x15, register, 0, 0, 0));
    for (const register of random(4) === 0 ? [7, 8] : checked)
      emit(0x61 | pick(sizeBits), 9, register, pick([0, 8, 40]));
    emit(0xb7, 7, 0, 0, pick(constants));
    emit(0xb7, 8, 0, 0, pick(constants));
  };
  const stack = () => {
    const at = -8 * (2 + random(4));
    emit(0x63 | pick([0x18, 0x18, ...sizeBits]), 10, scalar(), at);
    switch (random(4)) {
      case 0: {
        const size = pick([0x00, 0x08, 0x10]);
        const off = at + bytesOf(size) * random(8 / bytesOf(size));
        if (random(2) === 0) emit(0x63 | size, 10, scalar(), off);
        else emit(0x62 | size, 10, 0, off, pick(constants));
        break;
      }
      case 1:
        narrow(9);
        emit(0xbf, 1, 10);
        emit(0x07, 1, 0, 0, -40);
        emit(0x0f, 1, 9);
        emit(0x73, 1, pick([7, 8]), 0);
        break;
      case 2:
        diverge(() => emit(0x63 | pick(sizeBits), 10, scalar(), at));
    }
    const size = pick(sizeBits);
    const off = at + bytesOf(size) * (random(2) === 0 ? 0 : random(8 / bytesOf(size)));
    if (size !== 0x18 && random(3) === 0) emit(0x81 | size, scalar(), 10, off);
    else emit(0x61 | size, scalar(), 10, off);
  };
  const linked = () => {
    const a = scalar();
    const b = scalar();
    narrow(a);
    emit(pick([0xbf, 0xbf, 0xbc]), b, a);
    if (random(2) === 0) emit(0x07, b, 0, 0, pick([1, 4, -3]));
    if (random(3) === 0) diverge(compute);
    leave(emit(pick([0x25, 0xa5, 0x65, 0xc5, 0x15, 0x55]), pick([a, b]), 0, 0, pick([1, 5, 7, 15])));
    use(pick([a, b]));
  };
  const loop = () => {
    const counter = scalar();
    emit(0xb7, counter, 0, 0, 0);
    const start = insns.length;
    emit(0x07, counter, 0, 0, pick([1, 1, 2]));
    if (random(2) === 0) compute();
    emit(pick([0xa5, 0xc5, 0xa6]), counter, 0, start - insns.length - 1, pick([3, 6]));
  };
  const call = () => {
    emit(0xbf, 1, scalar());
    emit(0xbf, 2, scalar());
    calls.push(emit(0x85, 0, 1));
    emit(0xbf, scalar(), 0);
  };

  emit(0xbf, 6, 1);
  for (const register of [7, 8, 9]) emit(0xb7, register, 0, 0, random(3) === 0 ? pick(constants) : random(2));
  source(7);
  if (random(2) === 0) source(8);
  for (let block = 2 + random(5); block > 0; block--) {
    switch (random(11)) {
      case 0:
        source(scalar());
        break;
      case 1:
        for (let i = 1 + random(3); i > 0; i--) compute();
        break;
      case 2:
      case 3:
        diverge(() => {
          for (let i = random(3); i >= 0; i--)
            if (random(2) === 0) compute();
            else emit(0xb7, scalar(), 0, 0, pick(constants));
        });
        break;
      case 4: {
        const register = scalar();
        narrow(register);
        if (random(2) === 0) diverge(() => emit(0xb7, register, 0, 0, pick([0, 1, 8, 40, 47, 48])));
        use(register);
        break;
      }
      case 5:
        packet();
        break;
      case 6:
        twoLookups();
        break;
      case 7:
        stack();
        break;
      case 8:
        linked();
        break;
      case 9:
        loop();
        break;
      default:
        call();
    }
  }
  emit(0xb7, 0, 0, 0, 1);
  emit(0x95);
  const end = insns.length - 2;
  for (const at of exits) insns[at] = { ...insns[at]!, off: end - at - 1 };
  if (calls.length > 0) {
    const start = insns.length;
    for (const at of calls) insns[at] = { ...insns[at]!, imm: start - at - 1 };
    emit(0xbf, 0, 1);
    if (random(2) === 0) emit(0x57, 0, 0, 0, pick(masks));
    emit(pick([0x0f, 0x1f, 0x4f]), 0, 2);
    if (random(2) === 0) emit(0x25, 0, 0, 1, pick([15, 40]));
    else emit(0x05, 0, 0, 0, 0);
    emit(0x7b, 10, 0, -8);
    emit(0xb7, 3, 0, 0, 0);
    emit(0x95);
  }
  return { type: 'xdp', insns, mapsAt };
}
