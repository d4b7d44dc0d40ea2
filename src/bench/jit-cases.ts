/** What `bench jit` runs: rows of bpf/bench/cases.json, and the program tests beside them, which are programs of bpf/ with maps and packet. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { InputError } from '../errors.ts';
import { load, Runtime } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';
import { isRingbuf, type LoadedObject, type RunInput, type RunResult } from '../runtime/handles.ts';
import { fillMaps, type MapInput } from '../runtime/json-value.ts';
import { encodeContext } from '../testing/context-fields.ts';
import { readTestFile } from '../testing/test-file.ts';
import { verdictValue } from '../testing/verdict.ts';

export interface JitCase {
  readonly spec: ObjectSpec;
  readonly program: string;
  readonly type: ProgramTypeName;
  readonly maps: MapInput;
  /** Runs before the first that counts. */
  readonly before: readonly { readonly program: string; readonly data: Uint8Array }[];
  readonly input: RunInput;
  readonly returnValue: number;
  /** Packet after a run; undefined: it has none, or the case does not say. */
  readonly data: Uint8Array | undefined;
  /** Runs after which the ring buffers have to be read. */
  readonly maxRuns: number | undefined;
}

/** One row of bpf/bench/cases.json. */
interface Row {
  readonly object: string;
  readonly program: string;
  /** Hex. */
  readonly dataIn: string;
  readonly dataOut: string;
  readonly returnValue: number;
  /** Program of the object that must have run once. */
  readonly prepare?: string;
  readonly maxRuns?: number;
}

/** @param bpf folder bpf/ of the checkout or package. */
export function jitCases(bpf: string): JitCase[] {
  const rows = JSON.parse(readFileSync(join(bpf, 'bench', 'cases.json'), 'utf8')) as Row[]; // our own file
  const tests = readdirSync(join(bpf, 'bench'))
    .filter((name) => name.endsWith('.bpf.test.json'))
    .sort();
  const tested = tests.map((name) => testCase(join(bpf, 'bench', name)));
  // The first case of a program is its benchmark; the others are corner cases for the tests.
  const first = rows.filter((row, i) => rows.findIndex(({ program }) => program === row.program) === i);
  return [...first.map((row) => rowCase(row, bpf)), ...tested];
}

function rowCase(row: Row, bpf: string): JitCase {
  const spec = readSpec(join(bpf, row.object));
  const type = spec.programs.get(row.program)?.type;
  if (type === undefined)
    throw new InputError('SLUICE_BENCH_RESULT', `no program ${row.program}`, { input: row.object });
  const data = Uint8Array.from(Buffer.from(row.dataIn, 'hex'));
  return {
    spec,
    program: row.program,
    type,
    maps: {},
    before: row.prepare === undefined ? [] : [{ program: row.prepare, data }],
    input: { data },
    returnValue: row.returnValue,
    data: Uint8Array.from(Buffer.from(row.dataOut, 'hex')),
    maxRuns: row.maxRuns,
  };
}

function testCase(path: string): JitCase {
  const file = readTestFile(path);
  const [test] = file.cases;
  const spec = readSpec(file.object);
  const program = file.program ?? '';
  const type = spec.programs.get(program)?.type;
  const verdict = test?.expect.verdict;
  if (test === undefined || verdict === undefined || type === undefined)
    throw new InputError('SLUICE_BENCH_RESULT', 'a benchmark names its program, and has one case with a verdict', {
      input: path,
    });
  const { packet, context, expect } = test;
  return {
    spec,
    program,
    type,
    maps: { ...file.maps, ...test.maps },
    before: test.before.map((data) => ({ program, data })),
    input: {
      ...(packet === undefined ? {} : { data: packet }),
      ...(context === undefined ? {} : { context: encodeContext(type, context, packet?.length ?? 0) }),
    },
    returnValue: verdictValue(type, verdict),
    data: expect.packet === 'unchanged' ? packet : expect.packet,
    maxRuns: undefined,
  };
}

function readSpec(path: string): ObjectSpec {
  return readObject(readFileSync(path), basename(path));
}

const empties: Partial<Record<ProgramTypeName, { readonly section: string; readonly returnValue: number }>> = {
  xdp: { section: 'xdp', returnValue: 2 },
  sched_cls: { section: 'tc', returnValue: 0 },
  sk_lookup: { section: 'sk_lookup', returnValue: 1 },
};

/** A program of the same type that does nothing, with the same input. */
export function emptyCase({ type, input }: JitCase): JitCase {
  const empty = empties[type];
  if (empty === undefined) throw new InputError('SLUICE_BENCH_RESULT', `no empty program of type ${type}`);
  const { section, returnValue } = empty;
  const { insns, functions } = assemble(`empty:\n r0 = ${returnValue}\n exit`, { syntax: 'llvm' });
  const spec = readObject(writeObject({ section, license: 'GPL', insns, functions }), 'empty');
  return {
    spec,
    program: 'empty',
    type,
    maps: {},
    before: [],
    input,
    returnValue,
    data: input.data,
    maxRuns: undefined,
  };
}

export type JitBenchTarget = 'jit' | 'interpreter' | 'linux';

export interface OpenCase {
  readonly object: LoadedObject;
  run(repeat: number): RunResult;
}

/**
 * Loads a case, fills its maps, and makes sure that the program computes what it should before anyone times it.
 * Throws InputError `SLUICE_BENCH_RESULT` where it does not.
 */
export async function openCase(bench: JitCase, target: JitBenchTarget): Promise<OpenCase> {
  const object =
    target === 'linux'
      ? await load<LoadedObject>(bench.spec, { target })
      : await load<LoadedObject>(bench.spec, {
          cpus: 1,
          seed: 1n,
          engine: target,
          runtime: new Runtime({ cpus: 1, seed: 1n }),
        });
  try {
    fillMaps(object, bench.maps);
    for (const { program, data } of bench.before) object.programs[program]!.run({ data });
    const program = object.programs[bench.program]!;
    const { returnValue, data } = program.run(bench.input);
    if (returnValue !== bench.returnValue || hex(bench.data ?? data) !== hex(data))
      throw new InputError('SLUICE_BENCH_RESULT', `${bench.program} on ${target} gives ${returnValue}, ${hex(data)}`);
    return { object, run: (repeat) => program.run({ ...bench.input, repeat }) };
  } catch (error) {
    object.close();
    throw error;
  }
}

/** Takes what the rings of an object hold. */
export function readRings(object: LoadedObject): void {
  for (const map of Object.values(object.maps)) if (isRingbuf(map)) map.consume(() => {});
}

function hex(data: Uint8Array | undefined): string {
  return data === undefined ? '' : Buffer.from(data).toString('hex');
}
