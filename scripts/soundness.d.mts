/** A line of src/verifier and what stands in its place. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What test/soundness-main.ts prints. */
export interface FuzzResult {
  readonly milliseconds: number;
  readonly accepted: number;
  readonly refused: number;
  readonly unsupported: number;
  readonly runs: number;
  readonly steps: number;
  readonly inside: number;
  readonly finding: { readonly program: number; readonly what: string; readonly insns: readonly string[] } | null;
}

export function bundleFuzzer(mutation: Mutation | undefined, options?: { readonly write?: boolean }): Promise<string>;
export function runFuzzer(
  bundle: string,
  seed: number,
  milliseconds: number,
  programs?: number,
  objects?: string,
): Promise<FuzzResult>;
