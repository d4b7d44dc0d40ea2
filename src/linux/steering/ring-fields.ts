/** Where a block of the plane (plane/layout/steering-tap.ts) finds the rings that it stages requests in and takes completions from. */
import * as layout from '../../plane/layout/steering-tap.ts';
import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';

/** Writes the places of `ring` into the block, and the size of the headers in front of its packets. */
export function writeRingFields(
  runtime: Runtime,
  block: number,
  { addresses, base }: Pick<RingBackend, 'addresses' | 'base'>,
  headerSize: number,
): void {
  const view = runtime.view();
  const words: readonly (readonly [field: number, value: number])[] = [
    [layout.TAP_SQ_HEAD, addresses.sqHead],
    [layout.TAP_SQ_TAIL, addresses.sqTail],
    [layout.TAP_SQES, addresses.sqes],
    [layout.TAP_SQ_MASK, addresses.sqMask],
    [layout.TAP_CQ_HEAD, addresses.cqHead],
    [layout.TAP_CQ_TAIL, addresses.cqTail],
    [layout.TAP_CQES, addresses.cqes],
    [layout.TAP_CQ_MASK, addresses.cqMask],
    [layout.TAP_HEADER_SIZE, headerSize],
  ];
  for (const [field, value] of words) view.setUint32(block + field, value, true);
  view.setBigUint64(block + layout.TAP_BASE, base, true);
}
