/** Refusals as SARIF 2.1.0 (OASIS), which editors and CI services show beside the source. */
import { isAbsolute, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import type { JudgedProgram, ObjectVerdicts } from './verify-object.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

/** One run; a result for every diagnostic of a refused program, a note for what was not followed. */
export function sarifLog(results: readonly ObjectVerdicts[], version: string): unknown {
  const rules = new Map<string, { id: string; shortDescription: { text: string } }>();
  const found = results.flatMap(({ selector, programs }) =>
    programs.flatMap((program) =>
      program.verdict.diagnostics.map((diagnostic) => {
        rules.set(diagnostic.id, { id: diagnostic.id, shortDescription: { text: diagnostic.category } });
        const parts = [diagnostic.problem, diagnostic.reason, diagnostic.suggestion];
        return {
          ruleId: diagnostic.id,
          level: program.verdict.verdict === 'reject' ? 'error' : 'note',
          message: { text: parts.filter((part) => part !== undefined && part !== '').join('\n') },
          locations: [location(selector, program, diagnostic.slot)],
          ...flowOf(selector, program, diagnostic),
        };
      }),
    ),
  );
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'sluice', version, rules: [...rules.values()] } },
        artifacts: results.map(({ selector }) => ({ location: { uri: fileUri(selector) } })),
        invocations: [
          {
            executionSuccessful: results.every(({ error }) => error === undefined),
            toolExecutionNotifications: results.flatMap(({ selector, error }) =>
              error === undefined
                ? []
                : [
                    {
                      level: 'error',
                      message: { text: error.message },
                      descriptor: { id: error.code },
                      locations: [{ physicalLocation: { artifactLocation: { uri: fileUri(selector) } } }],
                    },
                  ],
            ),
          },
        ],
        results: found,
      },
    ],
  };
}

/** The causal path: editors step through it. */
function flowOf(selector: string, program: JudgedProgram, { steps = [] }: Diagnostic): object {
  if (steps.length < 2) return {};
  const locations = steps.map(({ slot, role, values }) => {
    const known = Object.entries(values).map(([register, value]) => `${register} = ${value}`);
    const message = { text: [role, ...known].join(', ') };
    return { location: { ...location(selector, program, slot), message } };
  });
  return { codeFlows: [{ threadFlows: [{ locations }] }] };
}

/** The source line where the object knows it, else the object file; the instruction is always named. */
function location(selector: string, { verdict, source }: JudgedProgram, slot: number | undefined): object {
  const last = slot === undefined ? undefined : source.findLast((each) => each.slot <= slot);
  // Code that the compiler made up has no line.
  const line = last === undefined || last.line === 0 ? undefined : last;
  const name = slot === undefined ? verdict.program : `${verdict.program}, insn ${slot}`;
  return {
    physicalLocation: {
      artifactLocation: { uri: line === undefined ? fileUri(selector) : sourceUri(line.file) },
      ...(line === undefined
        ? {}
        : { region: { startLine: line.line, startColumn: Math.max(1, line.column), snippet: { text: line.text } } }),
    },
    logicalLocations: [{ name, fullyQualifiedName: `${verdict.object}:${name}`, kind: 'function' }],
  };
}

/** Paths in debug information are relative to where the compiler ran, which most often is here. */
function sourceUri(file: string): string {
  if (!isAbsolute(file)) return encodeURI(file.replaceAll('\\', '/'));
  const inside = relative(process.cwd(), file);
  return inside.startsWith('..') ? pathToFileURL(file).href : encodeURI(inside);
}

function fileUri(selector: string): string {
  return encodeURI(selector.replace(/:[^:/]*$/, ''));
}
