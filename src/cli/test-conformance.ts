/** `sluice test --conformance DIR`: every case of a directory in one process. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, UnsupportedError } from '../errors.ts';
import { type ConformanceCase, parseConformanceCase } from '../isa/conformance.ts';
import { runConformanceCase } from '../linux/conformance.ts';
import type { EngineName } from '../runtime/engine.ts';
import { runRaw } from '../runtime/raw.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { TestEngine } from '../testing/test-object.ts';
import { type ExitCode, exitCode } from './exit.ts';
import type { Output } from './output.ts';
import { Progress } from './progress.ts';

interface CaseResult {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly reason?: string;
}

export async function testConformance(directory: string, engine: TestEngine, output: Output): Promise<ExitCode> {
  const files = listCases(directory);
  const progress = new Progress(`conformance ${engine}`, files.length);
  const results: CaseResult[] = [];
  for (const file of files) {
    results.push(await runFile(directory, file, engine));
    progress.update(results.length);
  }
  progress.end();
  const count = (status: CaseResult['status']) => results.filter((each) => each.status === status).length;
  for (const { name, status, reason } of results) {
    if (status === 'failed') output.line(`${output.colors.red('failed')}  ${name}: ${reason}`);
    if (status === 'skipped') output.line(`${output.colors.yellow('skipped')} ${name}: ${reason}`);
  }
  output.line(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  output.document({ passed: count('passed'), failed: count('failed'), skipped: count('skipped') });
  return count('failed') > 0 ? exitCode.no : exitCode.yes;
}

function listCases(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.data'))
      .sort();
  } catch (error) {
    throw new InputError('SLUICE_FILE', 'is not a directory that can be read', { input: directory }, { cause: error });
  }
}

async function runFile(directory: string, file: string, engine: TestEngine): Promise<CaseResult> {
  const name = file.replace(/\.data$/, '');
  const test = parseConformanceCase(name, readFileSync(join(directory, file), 'utf8'));
  if (engine === 'linux') return { name, ...runConformanceCase(test) };
  return { name, ...(await runCase(test, engine)) };
}

/** One case on one of our engines. */
export async function runCase(test: ConformanceCase, engine: EngineName): Promise<Omit<CaseResult, 'name'>> {
  let r0: bigint;
  try {
    r0 = await runRaw(new Runtime(), engine, test, test.memory?.slice());
  } catch (error) {
    if (!(error instanceof InputError || error instanceof UnsupportedError)) throw error;
    if (error instanceof UnsupportedError) return { status: 'skipped', reason: error.message };
    return test.expected === undefined ? { status: 'passed' } : { status: 'failed', reason: error.message };
  }
  if (r0 === test.expected) return { status: 'passed' };
  const wanted = test.expected === undefined ? `an error: ${test.error}` : `0x${test.expected.toString(16)}`;
  return { status: 'failed', reason: `r0 = 0x${r0.toString(16)}, expected ${wanted}` };
}
