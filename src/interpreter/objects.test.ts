import { describe, expect, it } from 'vitest';
import { emptyProgram, makeRecord, newInterpreter } from '../../test/interpreter-testbed.ts';
import { assemble } from '../isa/assembler.ts';
import { FIELD_KPTR, FIELD_LIST_NODE } from '../plane/layout/record.ts';
import type { Outcome } from './index.ts';

const bed = newInterpreter();
const plain = makeRecord(bed, 24, []);
const listed = makeRecord(bed, 40, [
  { kind: FIELD_LIST_NODE, offset: 8, size: 24 },
  { kind: FIELD_KPTR, offset: 32, size: 8, target: plain },
]);
const allocator = BigInt(bed.plane.exports.allocator_global() >>> 0);
const kfuncs = ['bpf_obj_new_impl', 'bpf_obj_drop_impl'];

/** Calls of kfuncs are written `new`, `drop`: the loader passes the record. */
function run(text: string, record: number): Outcome {
  const lines = text.trim().split('\n');
  const { insns } = assemble(lines.map((line) => line.trim().replace(/^(new|drop)$/, 'call 1')).join('\n'), {
    syntax: 'conformance',
  });
  const passed = new Map<number, ReadonlyMap<number, bigint>>();
  const calls = lines.map((line) => line.trim()).filter((line) => line === 'new' || line === 'drop');
  const resolved = insns.map((insn, slot) => {
    if (insn.opcode !== 0x85) return insn;
    const isNew = calls.shift() === 'new';
    passed.set(slot, new Map([...(isNew ? [[1, allocator] as const] : []), [2, BigInt(record)] as const]));
    return { ...insn, src: 2, imm: isNew ? 0 : 1 };
  });
  const image = bed.interpreter.load(emptyProgram('main', resolved, { kfuncs, passed }));
  const outcome = bed.interpreter.run(image);
  bed.interpreter.unload(image);
  return outcome;
}

function faultOf(text: string, record: number) {
  const outcome = run(text, record);
  if (outcome.kind !== 'fault') throw new Error(`exit with ${outcome.r0}`);
  return outcome.fault;
}

describe('objects of the program', () => {
  it('are memory of exactly the size of their type', () => {
    const use = 'new\nmov %r6, %r0\nstdw [%r6+16], 7\nldxdw %r7, [%r6+16]\nmov %r1, %r6\ndrop\nmov %r0, %r7\nexit';
    expect(run(use, plain)).toMatchObject({ kind: 'exit', r0: 7n });
    expect(faultOf('new\nldxw %r1, [%r0+22]\nexit', plain)).toMatchObject({
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 1,
      object: { kind: 'object', size: 24 },
    });
    expect(faultOf('new\nldxw %r1, [%r0-4]\nexit', plain)).toMatchObject({ code: 'SLUICE_FAULT_OUT_OF_BOUNDS' });
  });

  it('are nobody’s once they are dropped, at the instruction that looks', () => {
    const after = 'new\nmov %r6, %r0\nmov %r1, %r6\ndrop\nmov %r0, 0\n';
    expect(faultOf(`${after}ldxdw %r1, [%r6+0]\nexit`, plain)).toMatchObject({
      code: 'SLUICE_FAULT_RELEASED_MEMORY',
      slot: 5,
      object: { kind: 'object' },
    });
    expect(faultOf(`${after}mov %r1, %r6\ndrop\nmov %r0, 0\nexit`, plain)).toMatchObject({
      code: 'SLUICE_FAULT_RELEASED_MEMORY',
      slot: 6,
    });
  });

  it('are not those that follow at the same address', () => {
    const again = 'new\nmov %r6, %r0\nmov %r1, %r6\ndrop\nnew\nmov %r7, %r0\nsub %r0, %r6\njne %r0, 0, +2\n';
    const rest = 'stdw [%r7+0], 1\nldxdw %r0, [%r6+0]\nmov %r0, 0\nexit';
    expect(faultOf(again + rest, plain)).toMatchObject({ code: 'SLUICE_FAULT_RELEASED_MEMORY', slot: 9 });
  });

  it('keep their nodes and what they own to themselves', () => {
    expect(faultOf('new\nstdw [%r0+8], 0\nexit', listed)).toMatchObject({
      code: 'SLUICE_FAULT_SPECIAL_FIELD',
      problem: 'direct access to bpf_list_node is disallowed',
    });
    expect(faultOf('new\nstw [%r0+32], 0\nexit', listed)).toMatchObject({
      problem: 'store to referenced kptr disallowed',
    });
    expect(run('new\nmov %r6, %r0\nldxdw %r7, [%r6+32]\nmov %r1, %r6\ndrop\nmov %r0, %r7\nexit', listed)).toMatchObject(
      {
        r0: 0n,
      },
    );
  });

  it('are given up whole, and by what points to one', () => {
    expect(faultOf('new\nmov %r1, %r0\nadd %r1, 8\ndrop\nmov %r0, 0\nexit', plain)).toMatchObject({
      code: 'SLUICE_FAULT_MODIFIED_POINTER',
    });
    expect(faultOf('mov %r1, %r10\ndrop\nmov %r0, 0\nexit', plain)).toMatchObject({
      code: 'SLUICE_FAULT_ARGUMENT_TYPE',
    });
  });
});
