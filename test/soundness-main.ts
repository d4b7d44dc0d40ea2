/** The fuzzer as a program of its own (bundled, scripts/soundness.mjs): prints what it found as JSON. */
import { existsSync, readFileSync } from 'node:fs';
import { disassembleInsn } from '../src/isa/disassembler.ts';
import type { Insn } from '../src/isa/insn.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { type Finding, fuzz, newTally, objectsIn, randomObject, realObjects, tryProgram } from './soundness.ts';

const [root = '.', seed = '1', milliseconds = '60000', programs = '1000000000', more] = process.argv.slice(2);
const objects = [...realObjects(root), ...(more === undefined ? [] : objectsIn(more))];

// A file that this wrote: its finding once more, with every step.
if (existsSync(seed)) {
  const { finding } = JSON.parse(readFileSync(seed, 'utf8')) as { finding: Finding & { raw: Insn[] } };
  const { object, program } =
    finding.object === 'random'
      ? randomObject(finding.program)
      : objects
          .filter(({ name }) => name === finding.object)
          .map((each) => ({
            object: each,
            program: [...each.programs.values()].find(({ insns }) => insns.length === finding.raw.length)!,
          }))[0]!;
  const changed = { ...program, insns: finding.raw };
  const trace = console.log;
  const again = await tryProgram(new Runtime({ seed: 1n }), object, changed, finding.program, 40, newTally(), trace);
  console.log(again === undefined ? 'nothing is wrong' : `${again.what}`);
  process.exit();
}

const tally = newTally();
const started = performance.now();
const finding = await fuzz(
  {
    seed: Number(seed),
    programs: Number(programs),
    milliseconds: Number(milliseconds),
    runs: 6,
    objects,
    shrink: true,
  },
  tally,
);
const insns = finding?.insns.map(
  (insn, slot) => `${slot}: ${insn.opcode === 0 ? '' : disassembleInsn(insn, finding.insns[slot + 1])}`,
);
console.log(
  JSON.stringify({
    milliseconds: Math.round(performance.now() - started),
    ...tally,
    finding: finding === undefined ? null : { ...finding, insns, raw: finding.insns },
  }),
);
