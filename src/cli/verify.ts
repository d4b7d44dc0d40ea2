/** `sluice verify OBJ…`: the kernel's verdict without a kernel. */
import { exitCode } from './exit.ts';
import { judge, type ProgramVerdict } from './judge.ts';
import { table } from './output.ts';
import { Progress } from './progress.ts';
import { select } from './selector.ts';
import type { Verb } from './verb.ts';
import { describeDiagnostic } from './verdict.ts';

export const verifyVerb: Verb = (program, finish) => {
  program
    .command('verify')
    .description("the verdict of Linux 6.18's verifier, without a kernel; what is not followed yet is `unsupported`")
    .argument('<obj...>', 'object files, optionally with :program')
    .option('--json', 'result as JSON (sluice.verify/1)')
    .action((selectors: string[], options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        const progress = new Progress('verify');
        const verdicts: ProgramVerdict[] = [];
        const explanations: string[] = [];
        for (const selector of selectors) {
          const { object, programs } = select(selector);
          for (const each of programs) {
            const verdict = judge(object, each);
            verdicts.push(verdict);
            for (const diagnostic of verdict.diagnostics) {
              explanations.push('', `${object.name}:${each.name}`, ...describeDiagnostic(diagnostic, each));
            }
            progress.update(verdicts.length, `${object.name}:${each.name}`);
          }
        }
        progress.end();
        const rows = [['PROGRAM', 'VERDICT', 'INSNS', 'STATES', 'TIME us', 'NOT FOLLOWED']];
        for (const { object, program: name, verdict, stats, feature } of verdicts) {
          rows.push([
            `${object}:${name}`,
            verdict,
            String(stats.insns),
            String(stats.states),
            String(stats.time_us),
            feature ?? '',
          ]);
        }
        for (const row of table(rows)) output.line(row);
        for (const line of explanations) output.line(line);
        const count = (verdict: ProgramVerdict['verdict']) =>
          verdicts.filter((each) => each.verdict === verdict).length;
        output.line(`${count('accept')} passed, ${count('reject')} failed, ${count('unsupported')} skipped`);
        output.document({ schema: 'sluice.verify/1', programs: verdicts });
        if (count('reject') > 0) return exitCode.no;
        return count('unsupported') > 0 ? exitCode.missing : exitCode.yes;
      }),
    );
};
