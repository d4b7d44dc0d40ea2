/** Buckets of a stack_trace map, a part each: the number of the trace that is there, 0 for none. Operations of user space are those of registers. */
import type { Model } from '../linearizability.ts';
import { registers } from './register.ts';

/** bpf_get_stackid with BPF_F_REUSE_STACKID: the trace of before goes. */
export { UPDATE as PUT_OVER } from './register.ts';

/** bpf_get_stackid: -EEXIST where the bucket has another trace. */
export const PUT = 8;

const EEXIST = -17 >>> 0;

export const traces: Model<number> = {
  ...registers,
  apply(state, operation) {
    const { kind, value, result } = operation;
    if (kind !== PUT) return registers.apply(state, operation);
    if (state !== 0 && state !== value) return result === EEXIST ? [state] : [];
    return result === 0 ? [value] : [];
  },
  text: (operation) =>
    operation.kind === PUT ? `put ${operation.value} -> ${operation.result | 0}` : registers.text!(operation),
};
