// Calls in all their forms: subprograms, callbacks, bpf_loop, tail calls, maps in place, kfuncs; and the budgets.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { helpers } from '../abi/helpers/index.ts';
import { assemble } from '../isa/assembler.ts';
import type { MapFacts, ResolvedProgram } from '../object/resolved.ts';
import { MAP_CPU_STRIDE, MAP_MAX_ENTRIES, MAP_VALUES } from '../plane/layout/map.ts';
import { STACK_AREA_SIZE, STACKS, WORKERS } from '../plane/layout/memory.ts';
import { MAX_TAIL_CALLS, WORKER_CPU, WORKER_STACK_TOP, WORKER_TAIL_CALLS } from '../plane/layout/worker.ts';
import { compileModule } from './index.ts';
import { type PlaneFunction, rawProgram, Testbed } from './testbed.ts';

/** A program in the syntax of the conformance cases; `lddw %rN, MAP` stands for a map of that address. */
function program(text: string, parts: Partial<ResolvedProgram> = {}, maps: readonly MapFacts[] = []): ResolvedProgram {
  const { insns, functions } = assemble(text, { syntax: 'conformance' });
  const mapsAt = new Map<number, MapFacts>();
  insns.forEach((insn, slot) => {
    const map = insn.opcode === 0x18 && insn.src === 0 ? maps.find(({ address }) => address === insn.imm) : undefined;
    if (map !== undefined) mapsAt.set(slot, map);
  });
  const specs = functions.map((fn) => ({ ...fn, linkage: 'static' as const, btfId: undefined }));
  return rawProgram(insns, { functions: specs, helpers, mapsAt, ...parts });
}

function run(
  bed: Testbed,
  test: ResolvedProgram,
  plane: Record<string, PlaneFunction> = {},
  ...args: bigint[]
): bigint {
  const exports = bed.load([test], plane);
  return BigInt.asUintN(64, exports[test.name]!(...args, ...[0n, 0n].slice(args.length)));
}

const array = (parts: Partial<MapFacts> = {}): MapFacts => ({
  name: 'values',
  type: 'array',
  address: 0x45_0000,
  keySize: 4,
  valueSize: 12,
  maxEntries: 8,
  flags: 0,
  ...parts,
});

function place(bed: Testbed, map: MapFacts): void {
  bed.view.setUint32(map.address + MAP_MAX_ENTRIES, map.maxEntries, true);
  bed.view.setUint32(map.address + MAP_VALUES, map.address + 0x1000, true);
}

describe('subprograms', () => {
  it('have frames below the caller and get only what they read', () => {
    const text = `
      stdw [%r10-8], 7
      mov %r1, 5
      mov %r2, %r10
      mov %r6, 100
      call local sub
      ldxdw %r1, [%r10-8]
      add %r0, %r1
      add %r0, %r6
      exit
    sub:
      stdw [%r10-8], 1000
      ldxdw %r3, [%r2-8]
      mov %r6, 0
      mov %r4, %r10
      ldxdw %r0, [%r4-8]
      add %r0, %r3
      sub %r2, %r10
      add %r0, %r2
      exit`;
    // 1000 + 7, the distance of the frames, 7 again and r6.
    expect(run(new Testbed(), program(text))).toBe(1007n + 512n + 7n + 100n);
  });

  it('may be recursive where nothing was verified', () => {
    const text = `
      mov %r1, 10
      call local fact
      exit
    fact:
      mov %r0, 1
      jle %r1, 1, done
      mov %r6, %r1
      sub %r1, 1
      call local fact
      mul %r0, %r6
    done:
      exit`;
    const bed = new Testbed();
    bed.fuel = 1000;
    expect(bed.load([program(text)], {}, { fuel: true }).entry!(0n, 0n)).toBe(3628800n);
    expect(bed.fuel).toBeLessThan(1000);
  });
});

describe('bpf_loop', () => {
  const sum = (flags: number, rounds: string): string => `
      stdw [%r10-8], 0
      ${rounds}
      lddw %r2, func body
      mov %r3, %r10
      add %r3, -8
      mov %r4, ${flags}
      call 181
      ldxdw %r1, [%r10-8]
      lsh %r1, 32
      add %r0, %r1
      exit
    body:
      ldxdw %r3, [%r2]
      add %r3, %r1
      stxdw [%r2], %r3
      mov %r0, 0
      jne %r1, 20, done
      mov %r0, 1
    done:
      exit`;
  const loop = new Map([
    ...helpers,
    [
      181,
      {
        ...helpers.get(1)!,
        id: 181,
        name: 'bpf_loop',
        args: ['anything', 'func', 'stack_or_null', 'anything'] as const,
        returns: 'integer' as const,
      },
    ],
  ]);

  it.each([
    ['runs to its count', sum(0, 'mov %r1, 10'), (45n << 32n) + 10n],
    ['stops when the callback returns 1', sum(0, 'mov %r1, 100'), (210n << 32n) + 21n],
    ['refuses flags', sum(1, 'mov %r1, 10'), (1n << 64n) - 22n],
    ['refuses more than BPF_MAX_LOOPS', sum(0, 'mov %r1, 0x800001'), (1n << 64n) - 7n],
  ])('%s', (_, text, expected) => {
    expect(run(new Testbed(), program(text, { helpers: loop }))).toBe(expected);
  });

  it('takes a callback that is chosen at run time', () => {
    const text = `
      mov %r6, %r1
      stdw [%r10-8], 0
      mov %r1, 5
      lddw %r2, func one
      jeq %r6, 0, chosen
      lddw %r2, func two
    chosen:
      mov %r3, %r10
      add %r3, -8
      mov %r4, 0
      call 181
      ldxdw %r0, [%r10-8]
      exit
    one:
      stdw [%r10-8], 77
      ldxdw %r3, [%r2]
      add %r3, 1
      stxdw [%r2], %r3
      mov %r0, 0
      exit
    two:
      ldxdw %r3, [%r2]
      add %r3, 2
      stxdw [%r2], %r3
      mov %r0, 0
      exit`;
    const bed = new Testbed();
    const { entry } = bed.load([program(text, { helpers: loop })]);
    expect([entry!(0n, 0n), entry!(1n, 0n)]).toEqual([5n, 10n]);
    expect(bed.view.getUint32(WORKERS + WORKER_STACK_TOP, true)).toBe(STACKS + STACK_AREA_SIZE);
  });
});

it('callbacks are called by the plane through the table, below the frame of the caller', () => {
  const text = `
    stdw [%r10-8], 5
    lddw %r1, 0x450000
    lddw %r2, func each
    mov %r3, %r10
    add %r3, -8
    mov %r4, 0
    call 164
    ldxdw %r0, [%r10-8]
    exit
  each:
    stdw [%r10-8], 1000
    ldxdw %r5, [%r4]
    add %r5, %r2
    stxdw [%r4], %r5
    mov %r0, 0
    exit`;
  const bed = new Testbed();
  const map = array();
  const plane: Record<string, PlaneFunction> = {
    bpf_for_each_map_elem: (mapAddress, callback, ctx) => {
      const callee = bed.table.get(Number(callback)) as (...args: bigint[]) => bigint; // what the program put there
      for (const key of [1n, 2n, 3n]) callee(mapAddress, key, 0n, ctx, 0n);
      return 3n;
    },
  };
  expect(run(bed, program(text, {}, [map]), plane)).toBe(11n);
  expect(bed.view.getUint32(WORKERS + WORKER_STACK_TOP, true)).toBe(STACKS + STACK_AREA_SIZE);
});

describe('maps', () => {
  const lookup = `
    stxw [%r10-4], %r1
    lddw %r1, 0x450000
    mov %r2, %r10
    add %r2, -4
    call 1
    exit`;

  it('array lookups are expanded, within bounds only', () => {
    const bed = new Testbed();
    const map = array();
    place(bed, map);
    const { entry } = bed.load([program(lookup, {}, [map])]);
    expect(entry!(0n, 0n)).toBe(0x45_1000n);
    expect(entry!(7n, 0n)).toBe(0x45_1000n + 7n * 16n);
    expect(entry!(8n, 0n)).toBe(0n);
    expect(entry!(0xffff_ffffn, 0n)).toBe(0n);
    const known = bed.load([program(lookup, {}, [array({ valuesAddress: 0x48_0000 })])]);
    expect(known.entry!(3n, 0n)).toBe(0x48_0000n + 48n);
  });

  it.each([
    ['jeq %r0, 0, none', 'ldxw %r0, [%r0]\nexit\nnone: mov %r0, 99\nexit'],
    ['jne %r0, 0, some', 'mov %r0, 99\nexit\nsome: ldxw %r0, [%r0]\nexit'],
    ['jeq32 %r0, 0, none', 'ldxw %r0, [%r0]\nadd %r0, 0\nexit\nnone: add %r0, 99\nexit'],
    ['mov %r3, 5\njeq %r0, 0, none', 'ldxw %r0, [%r0]\nexit\nnone: add %r0, 94\nadd %r0, %r3\nexit'],
  ])('a lookup and the check of its result: %s', (check, rest) => {
    const bed = new Testbed();
    const map = array();
    place(bed, map);
    for (let at = 0; at < 10; at++) bed.view.setUint32(0x45_1000 + at * 16, 10 + at, true);
    const text = lookup.replace('exit', `${check}\n${rest}`);
    const keys = [0n, 7n, 8n, 9n, 0xffff_ffffn];
    for (const parts of [{}, { type: 'xdp' as const }]) {
      const { entry } = bed.load([program(text, parts, [map])]);
      expect(keys.map((key) => entry!(key, 0n))).toEqual([10n, 17n, 99n, 99n, 99n]);
    }
    const below = bed.load([program(text.replace('stxw [%r10-4], %r1', 'and %r1, 7\n$&'), {}, [map])]);
    expect(below.entry!(15n, 0n)).toBe(17n);
  });

  it('per-CPU array lookups give the value of the own CPU', () => {
    const bed = new Testbed();
    bed.view.setUint32(WORKERS + WORKER_CPU, 3, true);
    for (const known of [{ cpuStride: 192 }, {}]) {
      const map = array({ type: 'percpu_array', ...known });
      place(bed, map);
      bed.view.setUint32(map.address + MAP_CPU_STRIDE, 192, true);
      const { entry } = bed.load([program(lookup, {}, [map])]);
      expect(entry!(2n, 0n)).toBe(0x45_1000n + BigInt(3 * 192 + 2 * 16));
    }
  });

  it('a constant key needs no memory', () => {
    const bed = new Testbed();
    const text = lookup.replace('stxw [%r10-4], %r1', 'stw [%r10-4], 5');
    const map = array();
    place(bed, map);
    expect(run(bed, program(text, {}, [map]))).toBe(0x45_1000n + 80n);
    expect(run(bed, program(text, {}, [array({ maxEntries: 5 })]))).toBe(0n);
  });

  it("others call the type's own operation if the plane has it, or the helper", () => {
    const calls: string[] = [];
    const map = array({ type: 'hash', keySize: 8 });
    const test = program(lookup, {}, [map]);
    const specialised = (name: string): Record<string, PlaneFunction> => ({
      [name]: (...args) => {
        calls.push(`${name}(${args.join(', ')})`);
        return 64n;
      },
    });
    const frame = STACKS + STACK_AREA_SIZE - 4;
    const i32 = (name: string): Record<string, PlaneFunction> => ({
      // An i32 parameter arrives as a number, an i32 result leaves as one.
      [name]: ((...args: unknown[]) => {
        calls.push(`${name}(${args.join(', ')})`);
        return 64;
      }) as unknown as PlaneFunction,
    });
    expect(run(new Testbed(), test, i32('hash_lookup'))).toBe(64n);
    expect(run(new Testbed(), test, { ...i32('hash_lookup'), ...i32('hash_lookup_8') })).toBe(64n);
    expect(run(new Testbed(), test, specialised('bpf_map_lookup_elem'))).toBe(64n);
    expect(calls).toEqual([
      `hash_lookup(${map.address}, ${frame})`,
      `hash_lookup_8(${map.address}, ${frame})`,
      `bpf_map_lookup_elem(${map.address}, ${frame})`,
    ]);
    expect(() => run(new Testbed(), test)).toThrow('helper bpf_map_lookup_elem');
  });
});

describe('tail calls', () => {
  const map = array({ type: 'prog_array', valueSize: 4, maxEntries: 2 });
  const jump = (index: number, result: number): string => `
    mov %r6, %r1
    lddw %r2, 0x450000
    mov %r3, ${index}
    call 12
    mov %r0, ${result}
    exit`;
  const typed = (name: string, text: string): ResolvedProgram => program(text, { name, type: 'xdp' }, [map]);
  const values = map.address + 0x1000;

  it('go on in the other program, and fall through where there is none', () => {
    const bed = new Testbed();
    place(bed, map);
    const programs = [typed('first', jump(1, 1)), typed('second', 'mov %r0, %r1\nadd %r0, 40\nexit')];
    const { programs: compiled } = compileModule(programs, { fuel: false, planeExports: new Set() });
    const exports = bed.load(programs);
    expect(exports['first']!(2n)).toBe(1n);
    bed.view.setUint32(values + 4, bed.tableBase + compiled[1]!.tailElement, true);
    expect(exports['first']!(2n)).toBe(42n);
  });

  it('are counted: MAX_TAIL_CALLS, anew for each run', () => {
    const bed = new Testbed();
    place(bed, map);
    const text = `
      ldxw %r2, [%r1]
      add %r2, 1
      stxw [%r1], %r2
      ${jump(0, 9)}`;
    const exports = bed.load([typed('again', text)]);
    bed.view.setUint32(values, bed.tableBase + 1, true);
    for (const runs of [1, 2]) {
      expect(exports['again']!(BigInt(bed.free))).toBe(9n);
      expect(bed.view.getUint32(bed.free, true)).toBe((MAX_TAIL_CALLS + 1) * runs);
      expect(bed.view.getUint32(WORKERS + WORKER_TAIL_CALLS, true)).toBe(MAX_TAIL_CALLS);
    }
  });

  it('go where the element leads now, not where it led at first', () => {
    const bed = new Testbed();
    const known = { ...map, valuesAddress: values, programs: new Map([[1, 'second']]) };
    place(bed, known);
    const program1 = program(jump(1, 1), { name: 'first', type: 'xdp' }, [known]);
    const programs = [
      program1,
      typed('second', 'mov %r0, %r1\nadd %r0, 40\nexit'),
      typed('third', 'mov %r0, %r1\nadd %r0, 70\nexit'),
      program(jump(2, 5), { name: 'beyond', type: 'xdp' }, [known]),
    ];
    const { programs: compiled } = compileModule(programs, { fuel: false, planeExports: new Set() });
    const exports = bed.load(programs);
    const results = [undefined, 1, 2].map((which) => {
      const element = which === undefined ? 0 : bed.tableBase + compiled[which]!.tailElement;
      bed.view.setUint32(values + 4, element, true);
      return exports['first']!(2n);
    });
    expect(results).toEqual([1n, 42n, 72n]);
    expect(exports['beyond']!(2n)).toBe(5n);
  });

  // What stands in one function because the elements led there at first, and what is jumped to, in any graph of programs and with
  // any elements by now: the same as a model of it.
  it('give the same wherever elements led at first and lead now', () => {
    const count = 4;
    const elements = fc.array(fc.integer({ min: 0, max: count }), { minLength: count, maxLength: count });
    const property = fc.property(elements, elements, elements, fc.boolean(), (targets, first, now, fuel) => {
      const bed = new Testbed();
      const programs = new Map(first.flatMap((which, at) => (which < count ? [[at, `p${which}`]] : [])));
      const wide = { ...map, maxEntries: count, valuesAddress: values, programs };
      place(bed, wide);
      const specs = targets.map((target, at) =>
        program(
          `
          mov %r7, %r10
          stxdw [%r10-8], %r1
          ldxdw %r2, [%r1]
          mul %r2, 3
          add %r2, ${at + 1}
          stxdw [%r1], %r2
          ldxdw %r1, [%r7-8]
          mov %r6, %r1
          ${at === 1 ? 'call local sub' : ''}
          mov %r1, %r6
          ${target < count ? `lddw %r2, 0x450000\nmov %r3, ${target}\ncall 12` : ''}
          mov %r0, ${at}
          exit
          ${at === 1 ? 'sub: mov %r0, 3\nexit' : ''}`,
          { name: `p${at}`, type: 'xdp' },
          [wide],
        ),
      );
      const { programs: compiled } = compileModule(specs, { fuel, planeExports: new Set() });
      const exports = bed.load(specs, {}, { fuel });
      bed.fuel = 1000;
      now.forEach((which, at) => {
        const element = which < count ? bed.tableBase + compiled[which]!.tailElement : 0;
        bed.view.setUint32(values + 4 * at, element, true);
      });
      specs.forEach(({ name }, start) => {
        let value = 0n;
        let calls = 0;
        let at = start;
        for (;;) {
          value = BigInt.asUintN(64, value * 3n + BigInt(at + 1));
          const target = targets[at]!;
          const next = target < count ? now[target]! : count;
          if (next === count || calls === MAX_TAIL_CALLS) break;
          calls++;
          at = next;
        }
        bed.view.setBigUint64(bed.free, 0n, true);
        expect(exports[name]!(BigInt(bed.free))).toBe(BigInt(at));
        expect(bed.view.getBigUint64(bed.free, true)).toBe(value);
        if (targets[start]! < count) expect(bed.view.getUint32(WORKERS + WORKER_TAIL_CALLS, true)).toBe(calls);
      });
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('from a subprogram end that only, and leave the stack as it was', () => {
    const bed = new Testbed();
    place(bed, map);
    const text = `
      stdw [%r10-8], 3
      mov %r7, %r10
      call local sub
      ldxdw %r1, [%r7-8]
      add %r0, %r1
      exit
    sub:
      ${jump(0, 1)}`;
    const second = typed('second', 'stdw [%r10-8], 70\nmov %r1, %r10\nldxdw %r0, [%r1-8]\nexit');
    const exports = bed.load([typed('first', text), second]);
    bed.view.setUint32(values, bed.tableBase + 3, true);
    expect(exports['first']!(0n)).toBe(73n);
    expect(bed.view.getUint32(WORKERS + WORKER_STACK_TOP, true)).toBe(STACKS + STACK_AREA_SIZE);
  });
});

it('kfuncs are called by name with as many arguments as they take', () => {
  const text = 'mov %r1, 6\nmov %r2, 7\ncall local f\nf: exit';
  const base = program(text);
  const insns = base.insns.map((insn) => (insn.opcode === 0x85 ? { ...insn, src: 2, imm: 0 } : insn));
  const test = rawProgram(insns, { kfuncs: ['sluice_mul'] });
  const bed = new Testbed();
  const plane: Record<string, PlaneFunction> = { sluice_mul: (a, b) => a! * b! };
  const exports = bed.load([test], plane, { kfuncArguments: (name) => (name === 'sluice_mul' ? 2 : undefined) });
  expect(exports['entry']!(0n, 0n)).toBe(42n);
  expect(() => bed.load([test], plane)).toThrow('kfunc sluice_mul');
});

describe('budgets', () => {
  it('a loop without end stops with WORKER_FUEL at 0', () => {
    const bed = new Testbed();
    bed.fuel = 500;
    const { entry } = bed.load([program('mov %r0, 0\nagain: add %r0, 1\nja again\nexit')], {}, { fuel: true });
    expect(() => entry!(0n, 0n)).toThrow(WebAssembly.RuntimeError);
    expect(bed.fuel).toBe(0);
  });

  it('what is left of it goes back when the program ends', () => {
    const bed = new Testbed();
    bed.fuel = 500;
    const { entry } = bed.load(
      [program('mov %r0, 0\nagain: add %r0, 1\njlt %r0, 100, again\nexit')],
      {},
      { fuel: true },
    );
    expect(entry!(0n, 0n)).toBe(100n);
    // 100 rounds, of which a pass of the header is eight.
    expect(bed.fuel).toBe(487);
  });

  it('may_goto goes on after BPF_MAX_LOOPS rounds', () => {
    const text = 'mov %r0, 0\nagain: may_goto out\nadd %r0, 1\nja again\nout: exit';
    expect(run(new Testbed(), program(text))).toBe(8_388_608n);
  });
});

it('the same programs give the same bytes', () => {
  const compile = (): Uint8Array =>
    compileModule([program('mov %r0, 1\nexit')], { fuel: false, planeExports: new Set() }).bytes;
  expect(compile()).toEqual(compile());
});
