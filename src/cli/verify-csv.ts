/** Verdicts as veristat writes them (`veristat -o csv`), for its comparison and replay modes. */
import type { ProgramVerdict } from './judge.ts';

const COLUMNS = [
  'file_name',
  'prog_name',
  'verdict',
  'duration',
  'total_insns',
  'total_states',
  'peak_states',
  'max_states_per_insn',
  'max_mark_read_len',
];

/** Lines with a header. Programs without a verdict are left out: veristat knows success and failure only. */
export function csvLines(verdicts: readonly ProgramVerdict[]): string[] {
  const lines = [COLUMNS.join(',')];
  for (const { object, program, verdict, stats } of verdicts) {
    if (verdict === 'unsupported') continue;
    const numbers = [stats.time_us, stats.insns, stats.states, stats.peakStates, stats.maxStatesPerInsn];
    // The last is what kernels counted before 6.18; no state here has read marks.
    lines.push([object, program, verdict === 'accept' ? 'success' : 'failure', ...numbers, 0].join(','));
  }
  return lines;
}
