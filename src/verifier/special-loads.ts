/** Instructions of memory beyond plain loads and stores: atomics, 64-bit constants and what they refer to, loads from the packet. */
import { MODE } from '../isa/opcodes.ts';
import { runReturn } from './calls/function-call.ts';
import { backUp, putBack } from './jump.ts';
import * as k from './kinds.ts';
import { AUX2, OFFSET } from './layout.ts';
import { loadKsym } from './memory/ksym.ts';
import { accessMemory, checkReadable } from './memory/memory.ts';
import { checkMapFields } from './memory/value-field.ts';
import { refuseLeak } from './resources/critical-section.ts';
import {
  clearRecord,
  flagsOf,
  kindOf,
  makeConstant,
  makePointer,
  makeUnknown,
  offsetOf,
  set,
} from './states/records.ts';
import type { Verification } from './verification.ts';

const sizes = [4, 2, 1, 8];

export function runAtomic(v: Verification, opcode: number): void {
  const { code, slot } = v;
  const what = code.imm[slot]!;
  const dst = code.dst[slot]!;
  const src = code.src[slot]!;
  const off = code.off[slot]!;
  const size = sizes[(opcode >> 3) & 3]!;
  const pointer = what === 0x100 ? src : dst;
  if (what === 0x100) checkReadable(v, src);
  else {
    checkReadable(v, src);
    checkReadable(v, dst);
  }
  if (what === 0xf1) checkReadable(v, 0);
  const kind = kindOf(v.register(pointer));
  if (kind === k.CTX || k.isPacket(kind) || kind === k.FLOW_KEYS || k.isSocket(kind))
    v.refuse(
      'atomic-target',
      'Memory Safety',
      `BPF_ATOMIC ${what === 0x100 ? 'loads from' : 'stores into'} R${pointer} ${k.kindName(kind, flagsOf(v.register(pointer)))} is not allowed`,
      'Atomic instructions work on the stack, on map values and on allocated memory.',
    );
  if (what === 0x100) {
    accessMemory(v, src, off, size, false, dst, false, true);
    return;
  }
  if (what === 0x110) {
    accessMemory(v, dst, off, size, true, src, false, true);
    return;
  }
  const into = what === 0xf1 ? 0 : (what & 1) !== 0 ? src : -1;
  accessMemory(v, dst, off, size, false, -1, false, true);
  if (into >= 0) {
    accessMemory(v, dst, off, size, false, into, false, true);
  }
  accessMemory(v, dst, off, size, true, -1, false, true);
}

export function runLddw(v: Verification): void {
  const { code, slot } = v;
  const r = v.register(code.dst[slot]!);
  const map = code.mapAt[slot]!;
  if (map >= 0) {
    const part = code.allocatorAt.get(slot);
    if (part !== undefined) {
      makePointer(r, k.ALLOCATOR, 0, map);
      set(r, AUX2, part === 'elem' ? k.ELEMENTS : k.OBJECTS);
      return;
    }
    checkMapFields(v, map);
    const offset = code.mapOffset[slot]!;
    if (offset < 0) {
      makePointer(r, k.MAP_PTR, 0, map);
      return;
    }
    const spec = code.maps[map]!;
    if (spec.type === 'arena') {
      makeUnknown(r);
      return;
    }
    if (spec.type !== 'array') v.unfollowed(`direct access to values of ${spec.type} maps`);
    makePointer(r, k.MAP_VALUE, 0, map);
    set(r, OFFSET, offset);
    return;
  }
  const ksym = code.ksyms.get(slot);
  if (ksym !== undefined) {
    loadKsym(v, r, ksym);
    return;
  }
  if (code.src[slot] === 0) {
    makeConstant(r, code.imm[slot]!, code.imm[slot + 1]!);
    return;
  }
  if (code.src[slot] !== 4) v.unfollowed(`LDDW with source ${code.src[slot]}`);
  const fn = code.functionByStart.get(slot + 1 + code.imm[slot]!);
  if (fn === undefined) v.unfollowed('address of no function');
  if (code.functions[fn]!.linkage === 'global' && v.btf !== undefined && fn !== 0)
    v.refuse(
      'callback-not-static',
      'Program Structure',
      'callback function not static',
      'Only a static function can be called back.',
    );
  makePointer(r, k.FUNC, 0, fn);
}

export function runPacketLoad(v: Verification): void {
  const { code, slot, declaration } = v;
  const indirect = (code.op[slot]! & 0xe0) === MODE.IND;
  if (!declaration.packetLoads)
    v.refuse(
      'packet-load',
      'Execution Context Safety',
      'BPF_LD_[ABS|IND] instructions not allowed for this program type',
      'Only programs over socket buffers have them.',
    );
  checkReadable(v, 6);
  refuseLeak(v, 'BPF_LD_[ABS|IND]');
  if (kindOf(v.register(6)) !== k.CTX)
    v.refuse(
      'packet-load',
      'Register Type Safety',
      'at the time of BPF_LD_ABS|IND R6 != pointer to skb',
      'The instruction takes the context from R6.',
    );
  if (indirect) checkReadable(v, code.src[slot]!);
  if (offsetOf(v.register(6)) !== 0) v.unfollowed('BPF_LD_[ABS|IND] with a moved context');
  for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
  if (v.state.depth > 0) leaveFunction(v);
  makeUnknown(v.register(0));
}

/** A load that misses the packet returns 0 from the function at once: left for later. */
function leaveFunction(v: Verification): void {
  backUp(v);
  const { frames, references } = v.state;
  v.state.frames = frames.map((frame) => ({ ...frame }));
  makeConstant(v.register(0), 0, 0);
  v.push(runReturn(v));
  v.state.frames = frames;
  v.state.references = references;
  putBack(v);
  v.settle();
}
