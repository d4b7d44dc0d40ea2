import { describe, expect, it } from 'vitest';
import { calledHelpers, emptyProgram, newInterpreter, prototype } from '../../test/interpreter-testbed.ts';
import { helpers } from '../abi/helpers/index.ts';
import { assemble } from '../isa/assembler.ts';
import type { MapFacts, ResolvedProgram } from '../object/resolved.ts';
import { createMap, type PlaneMap } from '../runtime/maps/plane-map.ts';
import { tailTargetsOf } from '../runtime/maps/tail-targets.ts';
import type { Argument, Outcome, RunOptions } from './index.ts';

const bed = newInterpreter('(func (export "double") (param i64) (result i64) local.get 0 i64.const 1 i64.shl)');
const { interpreter } = bed;

/** `mapsAt`: maps by the slot of the LDDW that loads them (its constant is put in). */
function program(text: string, maps: Readonly<Record<number, PlaneMap>> = {}, parts: Partial<ResolvedProgram> = {}) {
  const insns = [...assemble(text, { syntax: 'conformance' }).insns];
  const mapsAt = new Map<number, MapFacts>();
  for (const [key, map] of Object.entries(maps)) {
    const slot = Number(key);
    expect(insns[slot]?.opcode).toBe(0x18);
    insns[slot] = { ...insns[slot]!, imm: map.address };
    const { name, type, address, keySize, valueSize, maxEntries, flags } = map;
    mapsAt.set(slot, { name, type, address, keySize, valueSize, maxEntries, flags });
  }
  return { ...emptyProgram('main', insns, { helpers: calledHelpers(insns, helpers), mapsAt }), ...parts };
}

function run(of: ResolvedProgram, args: readonly Argument[] = [], options: RunOptions = {}): Outcome {
  const image = interpreter.load(of);
  const outcome = interpreter.run(image, args, options);
  interpreter.unload(image);
  return outcome;
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const array = createMap(bed.plane, { name: 'sums', type: 'array', keySize: 4, valueSize: 8, maxEntries: 5 });
const hash = createMap(bed.plane, { name: 'flows', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 8 });

describe('calls and callbacks', () => {
  it('bpf_loop runs its callback with index and context', () => {
    const text = `
      mov %r1, 10
      lddw %r2, func body
      mov %r3, %r10
      add %r3, -8
      mov %r4, 0
      stdw [%r10-8], 100
      call 181
      ldxdw %r1, [%r10-8]
      lsh %r0, 32
      or %r0, %r1
      exit
      body:
      ldxdw %r3, [%r2]
      add %r3, %r1
      stxdw [%r2], %r3
      mov %r0, 0
      jne %r1, 7, +1
      mov %r0, 1
      exit`;
    // 0 to 7: 28 more, in 8 iterations; 11 + 7 * 6 + 7 steps.
    expect(run(program(text))).toEqual({ kind: 'exit', r0: (8n << 32n) | 128n, steps: 60, byAddress: 0 });
  });

  it.each([
    [0, 0, 0n],
    [8388609, 0, -7n],
    [3, 1, -22n],
  ])('bpf_loop of %d with flags %d gives %s', (count, flags, expected) => {
    const text = `mov %r1, ${count}\nlddw %r2, func f\nmov %r3, 0\nmov %r4, ${flags}\ncall 181\nexit\nf:\nmov %r0, 0\nexit`;
    expect(run(program(text))).toMatchObject({ r0: BigInt.asUintN(64, expected) });
  });

  const sum = `
    lddw %r1, 0
    lddw %r2, func add
    mov %r3, %r10
    add %r3, -8
    mov %r4, 0
    stdw [%r10-8], 0
    call 164
    ldxdw %r1, [%r10-8]
    lsh %r0, 32
    or %r0, %r1
    exit
    add:
    ldxw %r5, [%r2]
    ldxdw %r0, [%r3]
    add %r0, %r5
    ldxdw %r5, [%r4]
    add %r5, %r0
    stxdw [%r4], %r5
    mov %r0, 0
    exit`;

  it('bpf_for_each_map_elem over an array', () => {
    for (let i = 0; i < 5; i++) array.update(bytes(i, 0, 0, 0), bytes(i * 10, 0, 0, 0, 0, 0, 0, 0));
    expect(run(program(sum, { 0: array }))).toMatchObject({ kind: 'exit', r0: (5n << 32n) | 110n, byAddress: 0 });
  });

  it('bpf_for_each_map_elem over a hash', () => {
    for (let i = 1; i < 4; i++) hash.update(bytes(i, 0, 0, 0), bytes(i, 1, 0, 0, 0, 0, 0, 0));
    expect(run(program(sum, { 0: hash }))).toMatchObject({ kind: 'exit', r0: (3n << 32n) | (3n * 256n + 12n) });
  });

  it('a fault in a callback is reported where it is', () => {
    const outcome = run(program(sum.replace('[%r3]', '[%r3+1]'), { 0: array }));
    expect(outcome).toMatchObject({
      kind: 'fault',
      fault: {
        code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
        slot: 14,
        function: 'sub_13',
        register: 3,
        object: { name: 'sums', size: 8 },
      },
    });
    const written = run(program(sum.replace('stxdw [%r4], %r5', 'stxw [%r2], %r5'), { 0: array }));
    expect(written).toMatchObject({
      kind: 'fault',
      fault: { code: 'SLUICE_FAULT_READ_ONLY', slot: 18, object: { kind: 'map key' } },
    });
  });

  it('an endless callback uses up the budget', () => {
    const outcome = run(program(sum.replace(/mov %r0, 0\s+exit$/, 'ja -1'), { 0: array }), [], { budget: 300 });
    expect(outcome).toMatchObject({ kind: 'fault', fault: { code: 'SLUICE_FAULT_BUDGET' }, steps: 300 });
  });

  it('kfuncs are called by name', () => {
    const of = program('mov %r1, 21\nexit');
    const insns = [of.insns[0]!, { opcode: 0x85, dst: 0, src: 2, off: 0, imm: 0 }, of.insns[1]!];
    const whole = emptyProgram('main', insns, { kfuncs: ['double'] });
    const kfuncs = new Map([['double', prototype('double', ['anything'], 'integer', 0)]]);
    const image = interpreter.load(whole, { kfuncs });
    expect(interpreter.run(image)).toMatchObject({ kind: 'exit', r0: 42n });
    expect(() => interpreter.load(whole)).toThrow(/kfunc double/);
  });

  it('may_goto falls through 8388608 times', () => {
    const outcome = run(program('mov %r0, 0\nagain:\nmay_goto out\nadd %r0, 1\nja again\nout:\nexit'));
    expect(outcome).toMatchObject({ kind: 'exit', r0: 8388608n });
  });
});

describe('tail calls', () => {
  const progs = createMap(bed.plane, { name: 'progs', type: 'prog_array', keySize: 4, valueSize: 4, maxEntries: 3 });
  const context = {
    struct: 'test_md',
    size: 8,
    fields: [{ name: 'n', offset: 0, size: 8, write: true, kind: 'scalar' }],
  } as const;
  const entry = 2000;
  for (const target of [entry, entry + 1]) tailTargetsOf(bed.plane).add(target, 'test');
  const tail = (index: number, after: string) => `
    ldxdw %r3, [%r1]
    add %r3, 1
    stxdw [%r1], %r3
    lddw %r2, 0
    mov %r3, ${index}
    call 12
    ${after}`;

  it('go on in the element, 33 times at most, then after the call', () => {
    const address = bed.write(new Uint8Array(8));
    const image = interpreter.load(program(tail(1, 'mov %r0, 9\nexit'), { 3: progs }), { context });
    interpreter.setTailTarget(entry, image);
    progs.update(bytes(1, 0, 0, 0), bytes(entry & 0xff, entry >> 8, 0, 0));
    expect(interpreter.run(image, [{ kind: 'context', address }])).toMatchObject({ kind: 'exit', r0: 9n });
    expect(bed.plane.view().getBigUint64(address, true)).toBe(34n);
    interpreter.setTailTarget(entry, undefined);
    expect(interpreter.run(image, [{ kind: 'context', address }])).toMatchObject({ kind: 'exit', r0: 9n });
    expect(bed.plane.view().getBigUint64(address, true)).toBe(35n);
  });

  it('from a function, return to its caller; an index out of range goes on', () => {
    const address = bed.write(new Uint8Array(8));
    const target = interpreter.load(program('mov %r0, 5\nexit'), { context });
    interpreter.setTailTarget(entry + 1, target);
    progs.update(bytes(2, 0, 0, 0), bytes((entry + 1) & 0xff, (entry + 1) >> 8, 0, 0));
    const calling = (index: number) =>
      `mov %r6, 70\ncall local f\nadd %r0, %r6\nexit\nf:\n${tail(index, 'mov %r0, 1\nexit')}`;
    const hit = interpreter.load(program(calling(2), { 7: progs }), { context });
    expect(interpreter.run(hit, [{ kind: 'context', address }])).toMatchObject({ kind: 'exit', r0: 75n });
    const miss = interpreter.load(program(calling(3), { 7: progs }), { context });
    expect(interpreter.run(miss, [{ kind: 'context', address }])).toMatchObject({ kind: 'exit', r0: 71n });
  });
});

describe('provenance', () => {
  it('survives moves, sums, spills and calls', () => {
    const memory = bed.write(bytes(1, 2, 3, 4, 5, 6, 7, 8));
    const text = `
      mov %r2, 3
      add %r2, %r1
      sub %r2, 1
      stxdw [%r10-16], %r2
      mov %r1, %r10
      add %r1, -16
      call local f
      exit
      f:
      ldxdw %r3, [%r1]
      ldxb %r0, [%r3]
      exit`;
    const outcome = run(program(text), [{ kind: 'memory', address: memory, size: 8 }]);
    expect(outcome).toMatchObject({ kind: 'exit', r0: 3n, byAddress: 0 });
  });

  it('lost in a map value, the object is found by address and the access still checked', () => {
    const text = (offset: number) => `
      stw [%r10-4], 0
      mov %r2, %r10
      add %r2, -4
      lddw %r1, 0
      call 1
      jeq %r0, 0, out
      stxdw [%r0], %r0
      ldxdw %r1, [%r0]
      ldxb %r0, [%r1+${offset}]
      exit
      out:
      mov %r0, 0
      exit`;
    expect(run(program(text(7), { 3: array }))).toMatchObject({ kind: 'exit', byAddress: 1 });
    expect(run(program(text(5 * 8), { 3: array }))).toMatchObject({
      kind: 'fault',
      fault: { code: 'SLUICE_FAULT_NOT_A_POINTER', slot: 9, register: 1 },
    });
  });

  it('an overwritten spill is a number', () => {
    const text = 'stxdw [%r10-8], %r10\nstb [%r10-5], 0\nldxdw %r1, [%r10-8]\nldxb %r0, [%r1-1]\nexit';
    expect(run(program(text))).toMatchObject({ kind: 'exit', byAddress: 1 });
    const image = interpreter.load(program(text));
    interpreter.begin(image);
    for (let i = 0; i < 3; i++) interpreter.step();
    expect(interpreter.registers()[1]?.object).toBeUndefined();
  });

  it('uninitialised stack may be allowed', () => {
    const of = program('ldxdw %r1, [%r10-8]\nmov %r0, 4\nexit');
    expect(run(of, [], { uninitialisedStack: true })).toMatchObject({ kind: 'exit', r0: 4n });
    expect(run(of)).toMatchObject({ kind: 'fault' });
  });
});

describe('contexts', () => {
  const context = {
    struct: 'test_md',
    size: 40,
    fields: [
      { name: 'cb', offset: 0, size: 16, element: 4, write: true, kind: 'scalar' },
      { name: 'pair', offset: 16, size: 8, element: 4, loads: [1, 2, 4, 8], write: false, kind: 'scalar' },
      { name: 'port', offset: 24, size: 2, loads: [2, 4], write: false, kind: 'scalar' },
      { name: 'task', offset: 32, size: 8, write: false, kind: 'btf_id' },
    ],
  } as const;
  const load = (text: string): Outcome => {
    const address = bed.write(new Uint8Array(40).fill(1));
    const image = interpreter.load(program(`${text}\nmov %r0, 0\nexit`), { context });
    return interpreter.run(image, [{ kind: 'context', address }]);
  };

  it.each([
    'ldxw %r2, [%r1+4]',
    'ldxb %r2, [%r1+7]',
    'stxw [%r1+12], %r1',
    'ldxdw %r2, [%r1+16]',
    'ldxw %r2, [%r1+24]',
    'ldxdw %r2, [%r1+32]',
  ])('%s is an access to a field', (text) => {
    expect(load(text)).toMatchObject({ kind: 'exit' });
  });

  it.each([
    'ldxdw %r2, [%r1+0]',
    'ldxw %r2, [%r1+2]',
    'stxw [%r1+16], %r1',
    'ldxdw %r2, [%r1+24]',
    'ldxw %r2, [%r1+28]',
    'ldxw %r2, [%r1+32]',
    'ldxb %r2, [%r1+40]',
  ])('%s is none', (text) => {
    expect(load(text)).toMatchObject({ kind: 'fault', fault: { code: 'SLUICE_FAULT_CONTEXT_ACCESS', slot: 0 } });
  });

  it('an object that the context points to is not looked into', () => {
    const outcome = load('ldxdw %r2, [%r1+32]\nldxw %r2, [%r2]');
    expect(outcome).toMatchObject({ kind: 'fault', fault: { code: 'SLUICE_FAULT_OPAQUE_OBJECT', slot: 1 } });
  });
});

describe('stepping', () => {
  const of = program('mov %r0, 1\nadd %r0, 2\nlddw %r3, 0x1122334455667788\nadd %r0, %r3\nexit');

  it('makes one step at a time and shows the registers', () => {
    const image = interpreter.load(of);
    interpreter.begin(image, [7, { kind: 'memory', address: 0x500000, size: 16 }]);
    expect(interpreter.registers()[1]).toEqual({ value: 7n, object: undefined });
    expect(interpreter.registers()[2]?.object).toEqual({ kind: 'memory', name: undefined, base: 0x500000, size: 16 });
    expect(interpreter.registers()[0]).toBeUndefined();
    expect(interpreter.step()).toMatchObject({ kind: 'paused', position: { slot: 1, steps: 1 } });
    expect(interpreter.step()).toMatchObject({ kind: 'paused', position: { slot: 2 } });
    expect(interpreter.registers()[0]?.value).toBe(3n);
    expect(interpreter.step()).toMatchObject({ kind: 'paused', position: { slot: 4 } });
    expect(interpreter.resume()).toEqual({ kind: 'exit', r0: 0x112233445566778bn, steps: 5, byAddress: 0 });
    expect(() => interpreter.step()).toThrow(/begin/);
  });

  it('stops at breakpoints, once each time', () => {
    const image = interpreter.load(program('mov %r0, 3\nagain:\nsub %r0, 1\njne %r0, 0, again\nexit'));
    interpreter.setBreakpoint(image, 1);
    interpreter.begin(image);
    for (const left of [3n, 2n, 1n]) {
      expect(interpreter.resume()).toMatchObject({ kind: 'breakpoint', position: { slot: 1 } });
      expect(interpreter.registers()[0]?.value).toBe(left);
    }
    expect(interpreter.resume()).toMatchObject({ kind: 'exit', r0: 0n, steps: 8 });
    expect(interpreter.run(image)).toMatchObject({ kind: 'exit', steps: 8 });
    interpreter.clearBreakpoint(image, 1);
    interpreter.begin(image);
    expect(interpreter.resume()).toMatchObject({ kind: 'exit', steps: 8 });
  });

  it('traces every step', () => {
    const image = interpreter.load(of);
    const slots: number[] = [];
    const outcome = interpreter.trace(image, [], ({ slot }) => slots.push(slot));
    expect(outcome).toMatchObject({ kind: 'exit', steps: 5 });
    expect(slots).toEqual([0, 1, 2, 4, 5]);
  });
});

it('a closed interpreter gives everything back', () => {
  const other = newInterpreter();
  const before = other.host.allocate(1);
  other.host.free(before, 1);
  const image = other.interpreter.load(program('mov %r0, 0\nexit'));
  expect(other.interpreter.run(image)).toMatchObject({ kind: 'exit' });
  other.interpreter.close();
  expect(() => other.interpreter.run(image)).toThrow(/not loaded/);
  expect(other.host.allocate(1)).toBeLessThan(before);
});
