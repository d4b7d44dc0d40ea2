/** Sets of helpers, for the declarations of program types. */
import type { HelperPrototype } from '../prototype.ts';
import { helpers } from './index.ts';
import { helperId } from './names.ts';

/**
 * Everything in `base`, and `names` without their prefix; a prototype among them stands for itself, in place of the one of the same number.
 */
export function helperSet(
  base: ReadonlyMap<number, HelperPrototype>,
  names: readonly (string | HelperPrototype)[] = [],
): ReadonlyMap<number, HelperPrototype> {
  const set = new Map(base);
  for (const each of names) {
    const prototype = typeof each === 'string' ? helpers.get(helperId(each) ?? 0) : each;
    if (prototype === undefined) throw new RangeError(`no helper ${String(each)}`);
    set.set(prototype.id, prototype);
  }
  return set;
}

/** Numbers of helpers by their names without prefix, each with the attach types that may call it. */
export function onlyFor<T>(names: readonly string[], attachTypes: readonly T[]): [number, readonly T[]][] {
  return names.map((name) => {
    const id = helperId(name);
    if (id === undefined) throw new RangeError(`no helper ${name}`);
    return [id, attachTypes];
  });
}
