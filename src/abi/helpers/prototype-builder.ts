import type { ArgType, HelperPrototype, ReturnType } from '../prototype.ts';
import { helperId } from './names.ts';

interface Extra {
  readonly gplOnly?: boolean;
  readonly changesPacketData?: boolean;
  readonly fixedSize?: Readonly<Record<number, number>>;
}

/** One row of a helper table; the number comes from the name, so that no number is written twice. */
export function helper(
  name: string,
  args: readonly ArgType[],
  returns: ReturnType,
  extra: Extra = {},
): HelperPrototype {
  const id = helperId(name);
  if (id === undefined) throw new RangeError(`no helper ${name}`);
  return {
    id,
    name,
    args,
    returns,
    gplOnly: extra.gplOnly ?? false,
    changesPacketData: extra.changesPacketData ?? false,
    ...(extra.fixedSize === undefined ? {} : { fixedSize: extra.fixedSize }),
    stability: { level: 'stable', since: '0.1.0' },
  };
}
