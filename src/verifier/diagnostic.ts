/**
 * verifier/: ProgramSpec -> verdict with diagnostics, and the facts that the JIT uses. Pure.
 *
 * This file: what is said about a program. Categories and section names are those of Linux 7.3's verifier log
 * (kernel/bpf/diagnostics.c), so that reports of both can be laid side by side.
 */

export type DiagnosticCategory =
  | 'Memory Safety'
  | 'Register Type Safety'
  | 'Call Type Safety'
  | 'Resource Lifetime Safety'
  | 'Execution Context Safety'
  | 'Program Structure'
  | 'Policy'
  | 'Verifier Limit';

export interface Diagnostic {
  /** Stable, in kebab case: `unreachable-insn`. */
  readonly id: string;
  readonly category: DiagnosticCategory;
  /** The kernel's own wording where it has one, so that it can be searched for. */
  readonly problem: string;
  /** Why, in plain words. */
  readonly reason: string;
  /** Slot of the instruction; undefined if the problem is of the whole program. */
  readonly slot: number | undefined;
  /** What to change, with the check to add and where. */
  readonly suggestion?: string;
  /** What was known of the operand, and what the instruction needs; where `explain` found words for it. */
  readonly proven?: string;
  readonly needed?: string;
  /** The causal path: only the steps that matter, with values; of `explain`. */
  readonly steps?: readonly CausalStep[];
  /** What led there, oldest first; absent where values were not followed. */
  readonly path?: readonly PathStep[];
}

/** A step of the causal path, oldest first; the last is the refused instruction. */
export interface CausalStep {
  readonly slot: number;
  /**
   * `value` made or moved the value; `proof` narrowed it, `no-proof` compared it and taught nothing; `loss` made what was known void;
   * `call` took it into or out of a function; `acquired` is where a reference or a lock came from, `branch` a way that was taken while it was held; `refused` is the end.
   */
  readonly role: 'value' | 'proof' | 'no-proof' | 'loss' | 'call' | 'acquired' | 'branch' | 'refused';
  /** What was known, by register, of what matters here: after the instruction; of the refused one before it. */
  readonly values: Readonly<Record<string, string>>;
  /** Of a branch: whether the path jumps. */
  readonly taken?: boolean;
  /** How often the path came by here before, in loops. */
  readonly repeated?: number;
}

/** One step of the path: a decision, or a change of function. */
export type PathStep =
  | { readonly kind: 'branch'; readonly slot: number; readonly taken: boolean }
  | { readonly kind: 'call' | 'callback' | 'return'; readonly slot: number; readonly target: number };

/** Ends a verification: the program is refused. */
export class Refusal {
  readonly diagnostic: Diagnostic;
  constructor(diagnostic: Diagnostic) {
    this.diagnostic = diagnostic;
  }
}

/** Ends a verification: the program needs what the verifier does not follow yet. */
export class Unfollowed {
  readonly feature: string;
  readonly slot: number | undefined;
  constructor(feature: string, slot: number | undefined) {
    this.feature = feature;
    this.slot = slot;
  }
}
