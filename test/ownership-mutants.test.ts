/**
 * Every rule of ownership has teeth: a program that breaks it is refused, by the kernel too; a verifier without the rule takes it, and then both engines
 * or the count of what is left show the harm. docs/ownership-mutants.md is the table of that.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import { clangs, compileBpf, noClang, withTempFolder } from './clang.ts';
import { mutantsPage, RULES_PART } from './mutants-page.ts';
import { mutations } from './ownership-mutations.mjs';
import { KernelVerdicts } from './selftests/kernel-verdicts.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = 'test/objects/ownership-mistakes.bpf.c';

interface Outcome {
  readonly rule: string;
  readonly name: string;
  readonly before: string;
  readonly problem?: string;
  readonly after: string;
  readonly why?: string;
  readonly caught: Readonly<Record<string, string>>;
}

/** Sources of the verifier with a switch in each place; throws where a place does not stand in its file exactly once. */
function patched(): ReadonlyMap<string, string> {
  const places = new Map<
    string,
    { readonly file: string; readonly from: string; readonly to: string; readonly rules: number[] }
  >();
  mutations.forEach(({ patches }, rule) => {
    for (const [file, from, to] of patches) {
      const key = `${file}\n${from}`;
      const place = places.get(key) ?? { file, from, to, rules: [] };
      if (place.to !== to) throw new Error(`two mutations say different things in ${file}: ${from}`);
      place.rules.push(rule);
      places.set(key, place);
    }
  });
  const texts = new Map<string, string>();
  for (const { file, from, to, rules } of places.values()) {
    const text = texts.get(file) ?? readFileSync(join(root, 'src/verifier', file), 'utf8');
    if (text.split(from).length !== 2) throw new Error(`a place does not stand in ${file} once: ${from}`);
    const off = `[${rules.join(', ')}].includes(globalThis.ownershipRuleOff)`;
    texts.set(
      file,
      text.replace(from, () => to.replaceAll('OFF', off)),
    );
  }
  return texts;
}

async function bundle(out: string): Promise<void> {
  const texts = patched();
  const built = await rolldown({
    input: join(root, 'test/ownership-main.ts'),
    platform: 'node',
    external: ['koffi'],
    plugins: [{ name: 'switches', load: (id: string) => texts.get(relative(join(root, 'src/verifier'), id)) }],
  });
  await built.write({ file: out, format: 'esm', codeSplitting: false });
}

const kindOf = (text: string | undefined) => (text ?? '').replace(/0x[0-9a-f]+/g, '0x…');

const complete = (outcomes: readonly Outcome[]) =>
  outcomes.every(({ caught }) => Object.values(caught).every((text) => !text.startsWith('unsupported')));

function table(outcomes: readonly Outcome[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const rows = outcomes.map(({ rule, name, problem, caught }) => {
    const unseen = mutations.find((each) => each.rule === rule)?.unseen;
    const by = (engine: string) =>
      cell(unseen === undefined ? kindOf(caught[engine]?.split('\n')[0]) || 'nothing' : `nothing: ${unseen}`);
    return `| ${rule} | \`${name}\` | ${cell(problem ?? '')} | ${by('interpreter')} | ${by('jit')} |`;
  });
  return [
    RULES_PART,
    '',
    'For each rule of the verifier about objects, a program that breaks that rule alone (`test/objects/ownership-mistakes.bpf.c`), what the verifier says of it, and',
    'what catches the harm once the rule is switched off: in the checked engine, and in the JIT. Written by `test/ownership-mutants.test.ts` (`SLUICE_WRITE=1`).',
    '',
    '| rule | program | refused with | without the rule: interpreter | JIT |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    '## Where the rules are not those of Linux 6.18',
    '',
    '- One call for objects of several types (compilers make it where branches end alike): Linux patches the type of the last path into the call, so that an object may be',
    '  given back as another. Here the types must be given back alike, or differ in size so much (twice, and 16 bytes) that the call can tell them apart by it; others are refused.',
    '- Who owns whom: at most eight types in a row and none that owns itself, kptrs included, as later kernels (and 6.12.y) have it. 6.18 refuses lists of those that own lists, and',
    '  nothing else: it takes a kptr to its own type, and refuses the third list in a row.',
    '- Two `bpf_refcount` in one struct: E2BIG here; 6.18 takes the last, with a warning in its log.',
    '',
  ].join('\n');
}

describe.skipIf(noClang !== '')(`mutants of ownership${noClang}`, () => {
  const object =
    noClang === ''
      ? compileBpf(readFileSync(join(root, source), 'utf8'), {
          flags: ['-nostdinc', `-I${join(root, 'bpf/include')}`],
          clang: clangs[0]!,
        })
      : new Uint8Array();
  let outcomes: readonly Outcome[] = [];

  beforeAll(async () => {
    const out = join(root, 'node_modules/.cache', `ownership-${process.pid}.mjs`);
    await bundle(out);
    const text = withTempFolder((folder) => {
      const file = join(folder, 'mistakes.bpf.o');
      writeFileSync(file, object);
      return execFileSync(process.execPath, [out, file], { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 90_000 });
    });
    rmSync(out);
    outcomes = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Outcome);
    if (process.env['SLUICE_WRITE'] !== undefined && complete(outcomes)) mutantsPage.write(RULES_PART, table(outcomes));
  }, 120_000);

  const names = mutations.flatMap(({ rule, unseen, programs }) =>
    programs.map((name) => [name, rule, unseen] as const),
  );
  for (const [name, rule, unseen] of names)
    it(`${name}: ${rule}`, ({ skip }) => {
      const { before, after, caught } = outcomes.find((each) => each.name === name)!;
      expect([before, after]).toEqual(['reject', 'accept']);
      for (const text of Object.values(caught)) {
        if (text.startsWith('unsupported')) skip(text);
        expect(text).not.toMatch(/^error/);
      }
      // The JIT checks nothing: what it shows is luck.
      if (unseen === undefined) expect(caught['interpreter']).not.toBe('');
      else expect(caught['interpreter']).toBe('');
    });

  const refusal = bpfRefusal();
  it.skipIf(refusal !== undefined)(
    `the kernel refuses them in the same words${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    () => {
      const kernel = new KernelVerdicts(undefined);
      const spec = readObject(object, 'mistakes.bpf.o');
      for (const [name] of names.filter(([each]) => !OURS_ALONE.has(each))) {
        const { verdict, log } = kernel.of(spec, spec.programs.get(name)!, 0);
        expect([name, verdict]).toEqual([name, 'reject']);
        expect(log).toContain(outcomes.find((each) => each.name === name)!.problem!.split('\n')[0]);
      }
    },
  );

  it('the page says so', ({ skip }) => {
    if (!complete(outcomes)) skip('not all of them run');
    expect(mutantsPage.read(RULES_PART)).toBe(table(outcomes));
  });
});

/** One call for two types: Linux takes that, and then frees one as the other. */
const OURS_ALONE = new Set(['drop_of_either']);
