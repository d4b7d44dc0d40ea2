/** Results of program tests as text, as JUnit XML and as TAP. */
import { relative } from 'node:path';
import type { CaseResult } from '../testing/test-run.ts';
import type { Output } from './output.ts';

export const reporters = ['text', 'junit', 'tap'] as const;
export type Reporter = (typeof reporters)[number];

export function reportTests(results: readonly CaseResult[], reporter: Reporter, output: Output): void {
  if (reporter === 'junit') for (const line of junit(results)) output.line(line);
  else if (reporter === 'tap') for (const line of tap(results)) output.line(line);
  else text(results, output);
}

export function countOf(results: readonly CaseResult[], status: CaseResult['status']): number {
  return results.filter((each) => each.status === status).length;
}

function text(results: readonly CaseResult[], output: Output): void {
  const { green, red, yellow, bold } = output.colors;
  const word = { passed: green('passed'), failed: red('failed'), skipped: yellow('skipped') };
  let file: string | undefined;
  for (const each of results) {
    if (each.file !== file) output.line(bold(relative('.', each.file)));
    file = each.file;
    output.line(`  ${word[each.status]}  ${each.name} (${each.engine})`);
    for (const problem of each.problems) output.line(`          ${problem}`);
  }
  output.line(
    `${countOf(results, 'passed')} passed, ${countOf(results, 'failed')} failed, ${countOf(results, 'skipped')} skipped`,
  );
}

/** Test Anything Protocol, version 14. */
function tap(results: readonly CaseResult[]): string[] {
  const lines = ['TAP version 14', `1..${results.length}`];
  for (const [i, each] of results.entries()) {
    const name = `${relative('.', each.file)}: ${each.name} (${each.engine})`
      .replace(/[\\#]/g, '\\$&')
      .replaceAll('\n', ' ');
    const skip = each.status === 'skipped' ? ` # SKIP ${each.problems.join('; ')}` : '';
    lines.push(`${each.status === 'failed' ? 'not ok' : 'ok'} ${i + 1} - ${name}${skip}`);
    if (each.status !== 'failed') continue;
    lines.push('  ---', '  problems:');
    for (const problem of each.problems) lines.push(`    - ${JSON.stringify(problem)}`);
    lines.push('  ...');
  }
  return lines;
}

/** The dialect that Jenkins and GitLab read: a suite a file, a case an engine. */
function junit(results: readonly CaseResult[]): string[] {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>'];
  for (const file of new Set(results.map((each) => each.file))) {
    const cases = results.filter((each) => each.file === file);
    const counts = `tests="${cases.length}" failures="${countOf(cases, 'failed')}" skipped="${countOf(cases, 'skipped')}"`;
    lines.push(`  <testsuite name="${xml(relative('.', file))}" ${counts}>`);
    for (const each of cases) {
      const open = `    <testcase classname="${xml(relative('.', file))}" name="${xml(`${each.name} (${each.engine})`)}" time="${(each.durationMs / 1000).toFixed(3)}"`;
      if (each.status === 'passed') lines.push(`${open}/>`);
      else if (each.status === 'skipped')
        lines.push(`${open}><skipped message="${xml(each.problems.join('; '))}"/></testcase>`);
      else
        lines.push(
          `${open}><failure message="${xml(each.problems[0] ?? '')}">${xml(each.problems.join('\n'))}</failure></testcase>`,
        );
    }
    lines.push('  </testsuite>');
  }
  return [...lines, '</testsuites>'];
}

function xml(value: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    '\n': '&#10;',
  };
  // Control characters have no place in XML 1.0, not even escaped.
  return value.replace(/[&<>"\n]/g, (c) => names[c]!).replace(/[\p{Cc}]/gu, '?');
}
