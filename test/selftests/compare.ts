/**
 * The kernel's selftests against this machine's kernel and against us: verdicts, messages, return values. Usage (see scripts/
 * selftests-compare.mjs): compare DIR [FILTER] [--list KIND,…] [--cache FILE] [--program NAME] [--run] [--engine E] [--write]
 * [--log]: counts the lines that the tags expect in the verifier's log; minutes, as programs that never end are logged to the limit.
 * [--untagged]: verdicts of programs without tags too, which are to load where the kernel says nothing.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bpfRefusal } from '../../src/linux/features.ts';
import { readObject } from '../../src/object/index.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { keepAfter } from '../parity-page.ts';
import { KernelVerdicts } from './kernel-verdicts.ts';
import { linesFound, ourLog } from './log-lines.ts';
import { type Counts, parityTable, UNEXPLAINED, zero } from './page.ts';
import { compareRuns, inputOf } from './runs.ts';
import { type Expectation, expectationsOf } from './tags.ts';
import { compareVerdicts } from './verdicts.ts';

const args = process.argv.slice(2);
const option = (name: string) => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const flag = (name: string) => {
  const at = args.indexOf(name);
  return at >= 0 && args.splice(at, 1).length > 0;
};
const list = option('--list')?.split(',') ?? [];
const kernel = new KernelVerdicts(option('--cache'));
const only = option('--program');
const engine = option('--engine') === 'interpreter' ? 'interpreter' : 'jit';
const running = flag('--run');
const untagged = flag('--untagged');
const logging = flag('--log');
const writing = flag('--write');
const [dir, filter] = args;
if (dir === undefined) throw new Error('which folder of objects? node scripts/selftests.mjs makes one');

/** What programs without tags are for. */
const loads: Expectation = { verdict: 'accept', messages: [], returnValue: undefined, flags: 0 };

const files = new Map<string, Counts>();
const features = new Map<string, number>();
const unreadable: string[] = [];
const differing = new Map<string, readonly string[]>();
let spent = 0;
let linesWanted = 0;
let linesSaid = 0;
for (const file of readdirSync(dir).sort()) {
  if (!file.endsWith('.o') || (filter !== undefined && !file.includes(filter))) continue;
  let object: ObjectSpec;
  try {
    object = readObject(readFileSync(join(dir, file)), file);
  } catch (error) {
    unreadable.push(`${file}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
    continue;
  }
  const counts = zero();
  const expectations = expectationsOf(object);
  for (const [name, program] of object.programs) {
    if (only !== undefined && only !== name) continue;
    const expectation = expectations.get(name);
    if (expectation !== undefined) {
      countVerdict(object, name, expectation, counts);
      if (logging && expectation.messages.length > 0) {
        const found = linesFound(ourLog(object, program, expectation), expectation.messages);
        linesWanted += found.length;
        linesSaid += found.filter(Boolean).length;
      }
    }
    if (expectation === undefined && untagged) countVerdict(object, name, loads, counts);
    const input = running && bpfRefusal() === undefined ? inputOf(object, program) : undefined;
    // What is to be refused, or was, has nothing to run.
    if (input === undefined || expectation?.verdict === 'reject') continue;
    const { result, detail, returned, reason } = await compareRuns(object, program, input, engine);
    counts.runs[result]++;
    if (expectation?.returnValue !== undefined && result !== 'refused-there') {
      counts.returns++;
      if (expectation.returnValue === 'any' || returned === expectation.returnValue >>> 0) counts.returnsRight++;
      else if (list.includes('returns'))
        console.log(`RETURNS ${file}:${name} ${returned ?? detail}, tagged ${expectation.returnValue}`);
    }
    if (result === 'differs' || result === 'refused-here') {
      const kind = reason ?? UNEXPLAINED;
      const known = differing.get(kind) ?? [];
      differing.set(kind, [...known, reason === undefined ? `${file}:${name} (${detail})` : `${file}:${name}`]);
    }
    if (list.includes(result))
      console.log(`${result.toUpperCase()} ${file}:${name} ${detail}; ${reason ?? UNEXPLAINED}`);
  }
  files.set(file.replace(/\.bpf\.o$/, ''), counts);
}
kernel.save();

function countVerdict(object: ObjectSpec, name: string, expectation: Expectation, counts: Counts): void {
  const started = performance.now();
  const { kind, said, ours, there } = compareVerdicts(kernel, object, object.programs.get(name)!, expectation);
  spent += performance.now() - started;
  counts[kind]++;
  if (kind === 'unsupported') features.set(ours.feature!, (features.get(ours.feature!) ?? 0) + 1);
  if (said !== undefined) counts.messages++;
  if (said === true) counts.messagesAgree++;
  if (!list.includes(kind) && !(list.includes('message') && said === false) && only === undefined) return;
  const { insns, states, time_us } = ours.stats;
  console.log(
    `${said === false ? 'MESSAGE' : kind.toUpperCase()} ${object.name}:${name} (tag ${expectation.verdict}, kernel ${there.verdict}) ${time_us} us, ${insns} insns, ${states} states`,
  );
  const diagnostic = ours.diagnostics[0];
  if (ours.verdict !== 'accept')
    console.log(`  ours: ${diagnostic?.slot}: ${(ours.feature ?? diagnostic?.problem ?? '').replaceAll('\n', ' | ')}`);
  const wanted =
    there.verdict === 'none' ? expectation.messages.join(' | ') : there.log.trim().split('\n').slice(-5).join(' | ');
  if (wanted !== '') console.log(`  kernel: ${wanted}`);
}

const text = parityTable({ files, unreadable, differing, features });
if (writing) {
  const page = readFileSync('docs/parity.md', 'utf8');
  writeFileSync('docs/parity.md', `${page.slice(0, page.indexOf(keepAfter))}${keepAfter}\n\n${text}`);
} else console.log(text);
if (logging) console.log(`log: ${linesSaid} of ${linesWanted} expected lines`);
console.log(`verifying took ${spent.toFixed(0)} ms`);
