/** What the stepping core checks of a call, and makes of its result: HELPER_* records. */
import * as layout from './layout.ts';

export interface CallRules {
  /** Of a helper; 0 for kfuncs. */
  readonly id: number;
  readonly name: string;
  /** ARGUMENT_*, and bytes of memory of one fixed size. */
  readonly args: readonly { readonly kind: number; readonly size: number }[];
  /** RETURN_*. */
  readonly returns: number;
  /** Bytes that RETURN_FIXED_MEM points to; of RETURN_OBJECT the number of the argument that is its record. */
  readonly returnsSize: number;
  /** HELPER_* bits. */
  readonly flags: number;
}

/** Writes one record (HELPER_SIZE bytes) at `address`; `index` is the function's place in the shared table. */
export function writeRules(
  view: DataView,
  address: number,
  rules: CallRules,
  index: number,
  passed: ReadonlyMap<number, bigint> = new Map(),
): void {
  view.setUint32(address + layout.HELPER_ID, rules.id, true);
  view.setUint32(address + layout.HELPER_INDEX, index, true);
  view.setUint32(address + layout.HELPER_ARGUMENT_COUNT, rules.args.length, true);
  view.setUint32(address + layout.HELPER_RETURNS, rules.returns, true);
  view.setUint32(address + layout.HELPER_RETURNS_SIZE, rules.returnsSize, true);
  view.setUint32(address + layout.HELPER_FLAGS, rules.flags, true);
  let mask = 0;
  for (const [number, value] of passed) {
    mask |= 1 << number;
    view.setBigUint64(address + layout.HELPER_PASSED_VALUES + (number - 1) * 8, BigInt.asUintN(64, value), true);
  }
  view.setUint32(address + layout.HELPER_PASSED, mask, true);
  for (const [at, { kind, size }] of rules.args.entries()) {
    view.setUint8(address + layout.HELPER_ARGUMENTS + at, kind);
    view.setUint32(address + layout.HELPER_FIXED_SIZES + at * 4, size, true);
  }
}
