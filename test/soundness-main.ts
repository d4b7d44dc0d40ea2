/** The fuzzer as a program of its own (bundled, scripts/soundness.mjs): prints what it found as JSON. */
import { disassembleInsn } from '../src/isa/disassembler.ts';
import { fuzz, newTally, realObjects } from './soundness.ts';

const [root = '.', seed = '1', milliseconds = '60000', programs = '1000000000'] = process.argv.slice(2);
const tally = newTally();
const started = performance.now();
const finding = await fuzz(
  {
    seed: Number(seed),
    programs: Number(programs),
    milliseconds: Number(milliseconds),
    runs: 6,
    objects: realObjects(root),
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
    finding: finding === undefined ? null : { number: finding.program, run: finding.run, what: finding.what, insns },
  }),
);
