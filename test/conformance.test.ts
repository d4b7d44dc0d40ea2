// The cases of bpf_conformance (../shared) and our own (test/conformance), on each engine.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { HelperPrototype } from '../src/abi/prototype.ts';
import { runCase } from '../src/cli/test-conformance.ts';
import { checkInsns } from '../src/isa/check.ts';
import { type ConformanceCase, parseConformanceCase } from '../src/isa/conformance.ts';
import type { Insn } from '../src/isa/insn.ts';
import { rawProgram, Testbed } from '../src/jit/testbed.ts';
import type { ResolvedProgram } from '../src/object/resolved.ts';
import { newInterpreter } from './interpreter-testbed.ts';

/** Runs a case and returns r0; throws where the engine refuses or stops the program. */
type Engine = (test: ConformanceCase) => bigint;

const jumpTableSpace = 0x1000;

/** The case as the loader would give it to an engine: memory at `free + 64 KiB`, jump tables from `free` on. */
function resolve(test: ConformanceCase, free: number): ResolvedProgram {
  const insns: Insn[] = [...test.insns];
  const jumpTables = test.jumpTables.map((table, at) => {
    const address = free + at * jumpTableSpace;
    for (const slot of table.references) insns[slot] = { ...insns[slot]!, imm: address };
    return { address, slots: table.slots };
  });
  const functions = test.functions.map((fn) => ({ ...fn, linkage: 'static' as const, btfId: undefined }));
  return rawProgram(insns, { functions, jumpTables, helpers: new Map([[unwind.id, unwind]]) });
}

/** bpf_conformance's helper 5: ends the program if its argument is 0, which no case but call_unwind_fail does. */
const unwind: HelperPrototype = {
  id: 5,
  name: 'unwind',
  args: ['anything'],
  returns: 'integer',
  gplOnly: false,
  changesPacketData: false,
  stability: { level: 'experimental', since: '0.1' },
};

const jit =
  (fuel: boolean): Engine =>
  (test) => {
    const bed = new Testbed();
    bed.fuel = 100_000_000; // may_goto alone may take 8 Mi turns
    const program = resolve(test, bed.free);
    for (const { address, slots } of program.jumpTables)
      slots.forEach((slot, at) => {
        bed.view.setBigUint64(address + at * 8, BigInt(slot), true);
      });
    const address = bed.free + 0x1_0000;
    bed.bytes.set(test.memory ?? [], address);
    const length = test.memory?.length ?? 0;
    const { entry } = bed.load([program], { unwind: (value) => value }, { fuel });
    return BigInt.asUintN(64, entry!(length > 0 ? BigInt(address) : 0n, BigInt(length)));
  };

const interpreterBed = newInterpreter('(func (export "unwind") (param i64) (result i64) local.get 0)');

const interpreter: Engine = (test) => {
  const { interpreter: engine, write, space } = interpreterBed;
  const free = space(test.jumpTables.length * jumpTableSpace);
  const program = resolve(test, free);
  for (const { address, slots } of program.jumpTables)
    slots.forEach((slot, at) => {
      interpreterBed.plane.view().setBigUint64(address + at * 8, BigInt(slot), true);
    });
  const size = test.memory?.length ?? 0;
  const address = size > 0 ? write(test.memory!) : 0;
  const image = engine.load(program);
  const outcome = engine.run(
    image,
    size > 0 ? [{ kind: 'memory', address, size }, size] : [0, 0],
    size > 0 ? { packet: { address, size } } : {},
  );
  engine.unload(image);
  if (outcome.kind === 'fault') throw new Error(outcome.fault.problem);
  expect(outcome.byAddress).toBe(0);
  return outcome.r0;
};

const engines: readonly { readonly name: string; readonly run: Engine }[] = [
  { name: 'jit', run: jit(false) },
  { name: 'jit with fuel', run: jit(true) },
  { name: 'interpreter', run: interpreter },
];

const shared = new URL('../../shared/conformance/tests/', import.meta.url);
const own = new URL('./conformance/', import.meta.url);

function cases(folder: URL): ConformanceCase[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.data'));
  return files.map((name) => parseConformanceCase(name, readFileSync(new URL(name, folder), 'utf8')));
}

describe.each(engines)('$name', ({ run }) => {
  for (const [suite, folder] of [
    ['bpf_conformance', shared],
    ['own cases', own],
  ] as const) {
    const tests = cases(folder);
    describe.skipIf(tests.length === 0)(
      `${suite}${tests.length === 0 ? ` (skipped: no cases in ${folder.pathname})` : ''}`,
      () => {
        for (const test of tests) {
          if (test.expected !== undefined) {
            it(test.name, () => {
              expect(run(test)).toBe(test.expected);
            });
          } else {
            it(`${test.name} is refused`, () => {
              expect(checkInsns(test.insns) ?? capture(() => run(test))).toBeDefined();
            });
          }
        }
      },
    );
  }
});

/** As `sluice test --conformance` counts: through the runtime, with its plane and its structural check. */
describe.skipIf(!existsSync(shared))(
  `bpf_conformance through the runtime${existsSync(shared) ? '' : ' (skipped: absent)'}`,
  () => {
    it.each(['jit', 'interpreter'] as const)('%s: 313 of 313', { timeout: 60_000 }, async (engine) => {
      const failed: string[] = [];
      const tests = cases(shared);
      for (const test of tests) {
        const { status, reason } = await runCase(test, engine);
        if (status !== 'passed') failed.push(`${test.name}: ${reason}`);
      }
      expect(failed).toEqual([]);
      expect(tests).toHaveLength(313);
    });
  },
);

function capture(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}
