/** Runs the cases of a test file on an engine: each on a fresh object, so that no case sees what another left in maps. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError, InternalError, SluiceError, UnsupportedError } from '../errors.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { RunResult } from '../runtime/handles.ts';
import { hintsToText } from '../runtime/hints.ts';
import type { StepObserver } from '../runtime/interpreter-engine.ts';
import { perCpuTypes } from '../runtime/typed-map.ts';
import { contextValue } from './context-fields.ts';
import { differenceOf, show, sumOverCpus } from './expected-value.ts';
import type { TestCase, TestFile } from './test-file.ts';
import { loadForTest, type TestEngine, type TestObject, type TestRun } from './test-object.ts';
import { verdictName, verdictValue } from './verdict.ts';

export interface CaseResult {
  readonly file: string;
  readonly name: string;
  readonly engine: TestEngine;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** What differs, one line each; why it was skipped. */
  readonly problems: readonly string[];
  readonly durationMs: number;
}

/** Throws InputError where the object cannot be read; what one case cannot do is that case's result. */
export async function runTestFile(
  file: TestFile,
  engine: TestEngine,
  unverified = false,
  observe?: StepObserver,
): Promise<CaseResult[]> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file.object);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError('SLUICE_FILE', `cannot be read: ${reason}`, { input: file.path }, { cause: error });
  }
  const spec = readObject(bytes, basename(file.object));
  const results: CaseResult[] = [];
  for (const test of file.cases) results.push(await runCase(file, spec, test, engine, unverified, observe));
  return results;
}

async function runCase(
  file: TestFile,
  spec: ObjectSpec,
  test: TestCase,
  engine: TestEngine,
  unverified: boolean,
  observe: StepObserver | undefined,
): Promise<CaseResult> {
  const start = performance.now();
  const result = (status: CaseResult['status'], problems: readonly string[] = []): CaseResult => ({
    file: file.path,
    name: test.name,
    engine,
    status,
    problems,
    durationMs: performance.now() - start,
  });
  if (engine === 'linux') {
    const set = (['clock', 'seed', 'task', 'network', 'metadata', 'helperResults'] as const).filter(
      (each) => file[each] !== undefined,
    );
    if (set.length > 0) return result('skipped', [`the kernel's ${set.join(', ')} cannot be set`]);
    if (test.steering !== undefined) return result('skipped', ["the kernel's steering device cannot be set"]);
    if (test.expect.traits !== undefined || test.expect.stored !== undefined)
      return result('skipped', ['the kernel keeps neither traits nor what bpf_xdp_store_rx_* store']);
    if (test.expect.printk !== undefined) return result('skipped', ["the kernel's trace pipe is everybody's"]);
  }
  let object: TestObject | undefined;
  try {
    object = await loadForTest(spec, {
      engine,
      unverified,
      ...(observe === undefined ? {} : { observe }),
      maps: { ...file.maps, ...test.maps },
      ...(file.program === undefined ? {} : { program: file.program }),
      ...(file.seed === undefined ? {} : { seed: file.seed }),
      ...(file.clock === undefined ? {} : { clock: file.clock }),
      ...(file.cpu === undefined ? {} : { cpu: file.cpu }),
      ...(file.task === undefined ? {} : { task: file.task }),
      ...(file.network === undefined ? {} : { network: file.network }),
      ...(file.metadata === undefined ? {} : { metadata: file.metadata }),
      ...(file.helperResults === undefined ? {} : { helperResults: file.helperResults }),
    });
    for (const data of test.before) object.run(data);
    const run = object.run({
      repeat: test.repeat,
      ...(test.packet === undefined ? {} : { data: test.packet }),
      ...(test.context === undefined ? {} : { context: test.context }),
      ...(test.hints === undefined ? {} : { hints: test.hints }),
      ...(test.traits === undefined ? {} : { traits: test.traits }),
      ...(test.steering === undefined ? {} : { steering: test.steering }),
    });
    const problems = check(test, object, run);
    return result(problems.length === 0 ? 'passed' : 'failed', problems);
  } catch (error) {
    if (error instanceof UnsupportedError) return result('skipped', [error.message]);
    if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
    return result('failed', [error.message]);
  } finally {
    object?.close();
  }
}

function check({ expect }: TestCase, object: TestObject, run: TestRun): string[] {
  const problems: string[] = [];
  const note = (place: string, problem: string | undefined) => {
    if (problem !== undefined) problems.push(`${place}: ${problem}`);
  };
  if (expect.verdict !== undefined) {
    const wanted = verdictValue(run.programType, expect.verdict);
    if (wanted !== run.returnValue)
      note('verdict', `expected ${verdictName(run.programType, wanted)}, found ${run.verdict}`);
  }
  const packet = expect.packet === 'unchanged' ? run.input : expect.packet;
  if (packet !== undefined) note('packet', differenceOf(packet, run.data));
  for (const [field, value] of Object.entries(expect.context)) {
    const found = run.context === undefined ? undefined : contextValue(run.programType, run.context, field);
    note(`context ${field}`, differenceOf(value, found));
  }
  if (expect.traits !== undefined) note('traits', different(traitTexts(expect.traits), traitTexts(run.traits)));
  if (expect.stored !== undefined) note('stored', different(hintsToText(expect.stored), hintsToText(run.stored ?? {})));
  if (expect.reported !== undefined) note('reported', different(reportText(expect.reported), reportText(run.reported)));
  for (const [name, entries] of expect.maps) {
    const map = object.maps[name];
    if (map === undefined) {
      note(`map ${name}`, 'the object has none');
      continue;
    }
    for (const [key, value] of entries) {
      const stored = map.get(key);
      const found =
        perCpuTypes.has(map.type) && Array.isArray(stored) && !Array.isArray(value) ? sumOverCpus(stored) : stored;
      const place = `map ${name}[${show(key)}]`;
      if (value !== undefined) note(place, differenceOf(value, found));
      else if (found !== undefined) note(place, `expected nothing, found ${show(found)}`);
    }
  }
  for (const [name, records] of expect.events) note(`events ${name}`, differenceOf(records, object.events(name)));
  if (expect.printk !== undefined) note('printk', differenceOf(expect.printk, object.printk()));
  return problems;
}

/** `1=01000000 5=`: hex by key, in the order of keys. */
function reportText(reported: RunResult['reported']): string {
  return reported === undefined ? 'nothing' : `hash 0x${reported.hash.toString(16)}, report ${reported.report}`;
}

function traitTexts(traits: RunResult['traits']): string {
  const texts = [...(traits ?? [])]
    .sort(([a], [b]) => a - b)
    .map(([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`);
  return texts.length === 0 ? 'none' : texts.join(' ');
}

function different(expected: string, found: string): string | undefined {
  return expected === found ? undefined : `expected ${expected}, found ${found}`;
}
