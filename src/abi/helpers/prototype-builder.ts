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
