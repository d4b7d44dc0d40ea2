/** The part of docs/parity.md that says how the kernel's selftests fare. */

export interface Counts {
  agree: number;
  stricter: number;
  laxer: number;
  unsupported: number;
  /** Refusals that both agree on, and those whose message is the kernel's. */
  messages: number;
  messagesAgree: number;
  /** Programs that are tagged with the value that they return, and those that do. */
  returns: number;
  returnsRight: number;
  readonly runs: Record<'same' | 'differs' | 'refused-here' | 'refused-there', number>;
}

/** Stands for a reason where there is none. */
export const UNEXPLAINED = 'not explained';

export function zero(): Counts {
  return {
    agree: 0,
    stricter: 0,
    laxer: 0,
    unsupported: 0,
    messages: 0,
    messagesAgree: 0,
    returns: 0,
    returnsRight: 0,
    runs: { same: 0, differs: 0, 'refused-here': 0, 'refused-there': 0 },
  };
}

export interface Findings {
  /** By object, without its ending. */
  readonly files: ReadonlyMap<string, Counts>;
  readonly unreadable: readonly string[];
  /** Programs that do not give the kernel's result, or do not run here, by the reason. */
  readonly differing: ReadonlyMap<string, readonly string[]>;
  /** What the verifier does not follow, and in how many programs. */
  readonly features: ReadonlyMap<string, number>;
}

const row = (cells: readonly (string | number)[]) =>
  `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
const percent = (part: number, all: number) => (all === 0 ? '-' : `${((100 * part) / all).toFixed(1)} %`);

export function parityTable({ files, unreadable, differing, features }: Findings): string {
  const total = zero();
  const rows: string[] = [];
  for (const [name, counts] of files) {
    for (const key of [
      'agree',
      'stricter',
      'laxer',
      'unsupported',
      'messages',
      'messagesAgree',
      'returns',
      'returnsRight',
    ] as const)
      total[key] += counts[key];
    // Keys of a Record over these four.
    for (const key of Object.keys(counts.runs) as (keyof Counts['runs'])[]) total.runs[key] += counts.runs[key];
    const { runs } = counts;
    const cells = [
      counts.agree,
      counts.stricter,
      counts.laxer,
      counts.unsupported,
      runs.same,
      runs.differs,
      runs['refused-here'],
    ];
    if (cells.some((cell) => cell > 0)) rows.push(row([name, ...cells]));
  }
  const judged = total.agree + total.stricter + total.laxer + total.unsupported;
  const ran = total.runs.same + total.runs.differs + total.runs['refused-here'];
  const lines = [
    '## The kernel’s selftests',
    '',
    'Programs of tools/testing/selftests/bpf of Linux 6.12, compiled by clang 22. Verdicts are held against the kernel of the machine, and against the',
    'tags of the program where that kernel does not come to verify it; runs (64 zero bytes, or nothing for syscall programs) against the kernel’s.',
    'Made by `node scripts/selftests-compare.mjs --run --write`.',
    '',
    `- Objects read: ${files.size}; unreadable: ${unreadable.length}.`,
    `- Verdicts: ${judged} programs, ${total.agree} agree (${percent(total.agree, judged)}), ${total.stricter} stricter, ${total.laxer} laxer, ${total.unsupported} not followed.`,
    `- Messages: ${total.messagesAgree} of ${total.messages} refusals in the kernel’s words (${percent(total.messagesAgree, total.messages)}).`,
    `- Runs: ${ran} that the kernel runs, ${total.runs.same} the same here, ${total.runs.differs} differ, ${total.runs['refused-here']} not run here.`,
    `- Return values: ${total.returnsRight} of ${total.returns} programs tagged with \`__retval\` return it here.`,
    '',
  ];
  if (unreadable.length > 0) lines.push('Not read:', '', ...unreadable.map((each) => `- ${each}`), '');
  if (features.size > 0) {
    const most = [...features].sort((a, b) => b[1] - a[1]);
    lines.push('Not followed by the verifier:', '', ...most.map(([feature, count]) => `- ${feature}: ${count}`), '');
  }
  if (differing.size > 0) {
    const most = [...differing].sort(([, a], [, b]) => b.length - a.length);
    const reasons = most.map(([reason, programs]) => `- ${reason} (${programs.length}): ${programs.join(', ')}`);
    lines.push('Not run here, or not with the kernel’s result, by the reason:', '', ...reasons, '');
  }
  lines.push(
    row(['object', 'agree', 'stricter', 'laxer', 'not followed', 'runs alike', 'differ', 'not run here']),
    row(Array(8).fill('---')),
    ...rows,
  );
  return `${lines.join('\n')}\n`;
}
