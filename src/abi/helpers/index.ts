/**
 * The helpers that Sluice has, by number. A helper that is not in here is refused at load, by name; the body of each is an export of the
 * same name in plane.wasm, except for those that the engines expand themselves (`enginesExpand`).
 */
import type { HelperPrototype } from '../prototype.ts';
import { commonHelpers } from './common.ts';
import { mapHelpers } from './maps.ts';
import { ringbufHelpers } from './ringbuf.ts';
import { xdpHelpers } from './xdp.ts';

export { helperId, helperName, helperNames } from './names.ts';

export const helpers: ReadonlyMap<number, HelperPrototype> = new Map(
  [...commonHelpers, ...mapHelpers, ...ringbufHelpers, ...xdpHelpers].map((prototype) => [prototype.id, prototype]),
);

/** Helpers without a body in the plane: they change the flow of the program itself. */
export const enginesExpand: ReadonlySet<string> = new Set(['bpf_tail_call', 'bpf_loop']);
