/**
 * Arenas: a pointer that addr_space_cast gave reaches all of the program's one arena, whatever arithmetic was done on it: accesses that
 * miss it are cut off at run time. All that is tracked of it is that it is one.
 */
import * as k from '../kinds.ts';
import { KIND } from '../layout.ts';
import { makeUnknown, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';

/** Program-to-kernel cast (address space 1 to 0); the other way is 1 << 16. */
const TO_KERNEL = 1;

export function castAddressSpace(v: Verification, imm: number, into: number): void {
  if (imm !== TO_KERNEL && imm !== 1 << 16)
    v.refuse(
      'addr-space-cast',
      'Program Structure',
      'addr_space_cast insn can only convert between address space 1 and 0',
      'There are two address spaces: 0, and 1 of the arena.',
    );
  if (!v.code.maps.some(({ type }) => type === 'arena'))
    v.refuse(
      'addr-space-cast',
      'Program Structure',
      'addr_space_cast insn can only be used in a program that has an associated arena',
      'The program refers to no map of type arena.',
    );
  makeUnknown(into);
  if (imm === TO_KERNEL) set(into, KIND, k.ARENA);
}

/** A program has one arena at most. */
export function checkOneArena(v: Verification): void {
  if (v.code.maps.filter(({ type }) => type === 'arena').length > 1)
    v.refuse(
      'one-arena',
      'Program Structure',
      'Only one arena per program',
      'The program refers to several arenas.',
      0,
    );
}
