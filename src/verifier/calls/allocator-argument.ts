/** Allocators as arguments: an allocator map, or one of the two that a map has. Only what allocates takes them. */
import * as k from '../kinds.ts';
import { checkPlain } from '../memory/memory.ts';
import type { AllocatorName } from '../ownership.ts';
import { aux2Of, auxOf, kindOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { type KfuncFacts, refuseArgument } from './kfunc-arguments.ts';

export function allocatorIn(v: Verification, facts: KfuncFacts, index: number): AllocatorName {
  const number = index + 1;
  const r = v.register(number);
  const kind = kindOf(r);
  const map = kind === k.MAP_PTR || kind === k.ALLOCATOR ? v.code.maps[auxOf(r)] : undefined;
  if (map === undefined || (kind === k.MAP_PTR && map.type !== 'allocator'))
    refuseArgument(v, facts, index, `arg#${index} is neither an allocator map nor an allocator of a map`);
  checkPlain(v, number, r, false);
  if (kind === k.MAP_PTR) return { map: map.name, part: 'map' };
  return { map: map.name, part: aux2Of(r) === k.ELEMENTS ? 'elem' : 'kptr' };
}

/** An allocator map has no elements: it is not for kfuncs that work on maps. */
export function refuseAllocator(v: Verification, facts: KfuncFacts, index: number): void {
  const r = v.register(index + 1);
  if (kindOf(r) === k.MAP_PTR && v.code.maps[auxOf(r)]!.type === 'allocator')
    refuseArgument(v, facts, index, `cannot pass an allocator map into kfunc ${facts.name}`);
}
