/** Experimental interfaces that later versions changed or took away, each with the version and the reason. A stable one is never in here: it gets a shim (shims.ts). */
export interface Withdrawal {
  /** As an AbiInterface is named, with its kind: `kfunc bpf_x`. */
  readonly what: string;
  readonly version: string;
  readonly why: string;
}

export const withdrawn: readonly Withdrawal[] = [];
