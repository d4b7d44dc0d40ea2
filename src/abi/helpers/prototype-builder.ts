import type { ArgType, HelperPrototype, ReturnType } from '../prototype.ts';
import { helperId } from './names.ts';

/** What most helpers are not, or do not have. */
export type HelperExtra = Partial<Omit<HelperPrototype, 'id' | 'name' | 'args' | 'returns' | 'stability'>>;

/** One row of a helper table; the number comes from the name, so that no number is written twice. */
export function helper(
  name: string,
  args: readonly ArgType[],
  returns: ReturnType,
  extra: HelperExtra = {},
): HelperPrototype {
  const id = helperId(name);
  if (id === undefined) throw new RangeError(`no helper ${name}`);
  return numberedHelper(id, name, args, returns, extra);
}

/** A helper that only one of Sluice's own program types has, under a number of that type's table. */
export function numberedHelper(
  id: number,
  name: string,
  args: readonly ArgType[],
  returns: ReturnType,
  extra: HelperExtra = {},
): HelperPrototype {
  return {
    gplOnly: false,
    changesPacketData: false,
    ...extra,
    id,
    name,
    args,
    returns,
    stability: { level: 'stable', since: '0.1.0' },
  };
}
