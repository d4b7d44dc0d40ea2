/** `sluice test [GLOB]`: program tests (docs/program-tests.md) on our engines or in the kernel, once or whenever a file changes. */
import { unwatchFile, watchFile } from 'node:fs';
import { InternalError, SluiceError } from '../errors.ts';
import { Coverage } from '../interpreter/index.ts';
import { readTestFile } from '../testing/test-file.ts';
import type { TestEngine } from '../testing/test-object.ts';
import { type CaseResult, runTestFile } from '../testing/test-run.ts';
import { type ExitCode, exitCode } from './exit.ts';
import type { Output } from './output.ts';
import { findTestFiles } from './test-files.ts';
import { countOf, type Reporter, reportTests } from './test-report.ts';
import { writeText } from './text-file.ts';

export interface ProgramTestOptions {
  readonly engines: readonly TestEngine[];
  readonly reporter: Reporter;
  /** User space runs what the verifier refuses or does not follow. */
  readonly unverified: boolean;
  /** File for the coverage of what ran in the interpreter. */
  readonly coverage?: string;
}

export async function testPrograms(pattern: string, options: ProgramTestOptions, output: Output): Promise<ExitCode> {
  const coverage = new Map<string, Coverage>();
  const { results, bad } = await runFiles(findTestFiles(pattern), options, coverage);
  reportTests(results, options.reporter, output);
  if (options.coverage !== undefined)
    writeText(options.coverage, [...coverage.values()].map((each) => each.lcov()).join(''), output);
  output.document({
    schema: 'sluice.test/1',
    passed: countOf(results, 'passed'),
    failed: countOf(results, 'failed'),
    skipped: countOf(results, 'skipped'),
    results,
  });
  if (bad) return exitCode.input;
  return countOf(results, 'failed') > 0 ? exitCode.no : exitCode.yes;
}

/** A file that is bad, or whose object is, is one failure that says so; the others run. */
async function runFiles(
  paths: readonly string[],
  { engines, unverified, coverage: path }: ProgramTestOptions,
  coverage: Map<string, Coverage>,
): Promise<{ results: CaseResult[]; bad: boolean }> {
  const results: CaseResult[] = [];
  let bad = false;
  for (const test of paths) {
    let engine = engines[0]!; // there is always one
    try {
      const file = readTestFile(test);
      // By object: programs of two may have the same name.
      const counted = path === undefined ? undefined : (coverage.get(file.object) ?? new Coverage());
      if (counted !== undefined) coverage.set(file.object, counted);
      for (engine of engines)
        results.push(
          ...(await runTestFile(file, engine, unverified, counted && ((position) => counted.visit(position)))),
        );
    } catch (error) {
      if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
      const name = 'the file and its object can be read';
      results.push({ file: test, name, engine, status: 'failed', problems: [error.message], durationMs: 0 });
      bad = true;
    }
  }
  return { results, bad };
}

/** Runs them again when a test comes or goes, or it, its object or its capture changes, until the process is interrupted; returns what the last run gave. */
export async function watchPrograms(pattern: string, options: ProgramTestOptions, output: Output): Promise<ExitCode> {
  let stopped = false;
  let wake = () => {};
  const stop = () => {
    stopped = true;
    wake();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let code: ExitCode = exitCode.yes;
  while (!stopped) {
    let watched: string[] = [];
    let endLooking = () => {};
    // Before the run: a change during it counts.
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    try {
      const paths = findTestFiles(pattern);
      endLooking = onOtherFiles(pattern, paths, () => wake());
      watched = [...new Set([...paths, ...paths.flatMap(inputsOf)])];
      for (const path of watched)
        watchFile(path, { interval: 200 }, (now, before) => {
          // Of a file that is not there (yet) it tells at once, with nothing changed.
          if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino) wake();
        });
      code = await testPrograms(pattern, options, output);
    } catch (error) {
      if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
      output.note(`sluice: ${error.message}`);
      code = exitCode.input;
    }
    if (watched.length === 0) break;
    output.note(`watching ${watched.length} files; interrupt to end`);
    await changed;
    endLooking();
    for (const path of watched) unwatchFile(path);
  }
  return code;
}

/** Looks for tests again and again, in large folders less often, until what it returns is called. */
function onOtherFiles(pattern: string, paths: readonly string[], act: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = () => {
    const start = performance.now();
    if (findTestFiles(pattern, 'none is fine').join('\n') !== paths.join('\n')) act();
    else timer = setTimeout(look, Math.max(400, 20 * (performance.now() - start)));
  };
  timer = setTimeout(look, 400);
  return () => clearTimeout(timer);
}

/** Nothing for a file that cannot be read as it is: it is watched itself. */
function inputsOf(path: string): readonly string[] {
  try {
    return readTestFile(path).inputs;
  } catch (error) {
    if (error instanceof SluiceError) return [];
    throw error;
  }
}
