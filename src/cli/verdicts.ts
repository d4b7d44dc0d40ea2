/** Return values of programs as people read them, and what becomes of the packet. */

import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';

/** `XDP_PASS`, `TC_ACT_SHOT`, or the number where the type has no name for it. */
export function verdictName(type: ProgramTypeName, value: number): string {
  return programDeclarations.get(type)?.verdicts.get(value) ?? String(value);
}

const TC_DROPS: ReadonlySet<number> = new Set([2, 4, 5, 8]);
const LWT_PASSES: ReadonlySet<number> = new Set([0, 7, 128]);

/** How many bytes of a packet of `length` go on: passed, sent back or redirected. 0: it was dropped. */
export function bytesKept(type: ProgramTypeName, verdict: number, length: number): number {
  switch (type) {
    case 'sched_cls':
    case 'sched_act':
      return TC_DROPS.has(verdict) ? 0 : length;
    case 'socket_filter':
      return Math.min(verdict, length);
    case 'vnet_hash':
      return length;
    case 'cgroup_skb':
      return (verdict & 1) === 0 ? 0 : length;
    case 'lwt_in':
    case 'lwt_out':
    case 'lwt_xmit':
      return LWT_PASSES.has(verdict) ? length : 0;
    default:
      return verdict >= 2 ? length : 0;
  }
}
