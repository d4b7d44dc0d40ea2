/** Verdicts by name: `XDP_DROP`, `drop`, or a number. */

import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { InputError } from '../errors.ts';

/** Names of the values that a program of the type returns, with the prefix. */
function namesOf(type: ProgramTypeName): ReadonlyMap<number, string> {
  return programDeclarations.get(type)?.verdicts ?? new Map<number, string>();
}

/** `XDP_DROP`; the number as text where it has no name. */
export function verdictName(type: ProgramTypeName, value: number): string {
  return namesOf(type).get(value) ?? namesOf(type).get(value | 0) ?? String(value);
}

/** Return value (u32) by name, with or without its prefix and in any case. Throws InputError `SLUICE_VERDICT` for a name that is none. */
export function verdictValue(type: ProgramTypeName, wanted: string | number): number {
  if (typeof wanted === 'number') return wanted >>> 0;
  const upper = wanted.toUpperCase();
  const names = namesOf(type);
  for (const [value, name] of names) if (name === upper) return value >>> 0;
  for (const [value, name] of names) if (name.endsWith(`_${upper}`)) return value >>> 0;
  throw new InputError(
    'SLUICE_VERDICT',
    `programs of type ${type} have no verdict ${wanted}; there are ${[...names.values()].join(', ') || 'only numbers'}`,
  );
}

const passing = new Set(['XDP_PASS', 'TC_ACT_OK', 'TCX_PASS', 'SK_PASS', 'BPF_OK', 'NF_ACCEPT']);
const dropping = new Set(['XDP_DROP', 'TC_ACT_SHOT', 'TCX_DROP', 'SK_DROP', 'BPF_DROP', 'NF_DROP']);

/** Whether a verdict lets its packet go on, or ends it; undefined for types whose value is no verdict of that kind. */
export function passes(type: ProgramTypeName, value: number): 'passes' | 'drops' | undefined {
  if (type === 'cgroup_skb') return (value & 1) === 1 ? 'passes' : 'drops';
  if (type === 'socket_filter') return value === 0 ? 'drops' : 'passes';
  const name = verdictName(type, value);
  return passing.has(name) ? 'passes' : dropping.has(name) ? 'drops' : undefined;
}
